//! What every part of one reply says of the whole.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// What a reply, or each of its chunks, says of itself.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Stamp {
    /// Names the reply; all chunks of one have the same.
    #[schema(example = "chatcmpl-5a1b…")]
    pub(crate) id: String,
    /// What this is.
    pub(crate) object: &'static str,
    /// When it began, in seconds of Unix time.
    #[schema(example = 1_790_000_000)]
    pub(crate) created: u64,
    /// Id of the model that replies.
    #[schema(example = "shapes-vlm")]
    pub(crate) model: String,
    /// Changes when weights, configuration or server do: with the same one, equal seeds give equal replies.
    #[schema(example = "fp_0123456789ab")]
    pub(crate) system_fingerprint: String,
}

// === impl Stamp ===

impl Stamp {
    /// The stamp of a new reply, whose id begins with `prefix`.
    pub(crate) fn new(prefix: &str, object: &'static str, model: &str, revision: &str) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            id: format!("{prefix}-{}", Uuid::new_v4().simple()),
            object,
            created: now.map_or(0, |now| now.as_secs()),
            model: model.to_owned(),
            system_fingerprint: fingerprint(revision),
        }
    }
}

/// Twelve digits of the model's revision and this server's version (FNV-1a, Fowler, Noll and Vo).
fn fingerprint(revision: &str) -> String {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let bytes = revision.bytes().chain(env!("CARGO_PKG_VERSION").bytes());
    let hash = bytes.fold(BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    format!("fp_{:012x}", hash & 0xffff_ffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_revisions_have_equal_fingerprints() {
        assert_eq!(fingerprint("a"), fingerprint("a"));
        assert_ne!(fingerprint("a"), fingerprint("b"));
        assert_eq!(fingerprint("a").len(), 15);
    }

    #[test]
    fn ids_are_new_every_time() {
        let stamp = || Stamp::new("chatcmpl", "chat.completion", "m", "r").id;
        assert!(stamp().starts_with("chatcmpl-"));
        assert_ne!(stamp(), stamp());
    }
}
