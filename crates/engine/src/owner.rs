//! Who asks: an opaque identity that keeps one caller's cached results from another's.

use std::fmt;

/// A caller, known only by a hash of its key. Callers without a key share one identity.
///
/// The key itself is never kept, and `Debug` shows eight digits of the hash: enough to
/// tell two callers apart in a log, too few to test a guessed key against with certainty.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner([u8; 32]);

// === impl Owner ===

impl Owner {
    /// The callers of a server that asks for no key.
    pub fn anonymous() -> Self {
        Self([0; 32])
    }

    /// The caller that presented `key`.
    pub fn from_key(key: &str) -> Self {
        Self(blake3::derive_key("sensorium 2026 owner of a request", key.as_bytes()))
    }

    /// Bytes for cache keys; equal exactly if the owners are.
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::anonymous() {
            return f.write_str("Owner(anonymous)");
        }
        let [a, b, c, d, ..] = self.0;
        write!(f, "Owner({a:02x}{b:02x}{c:02x}{d:02x})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_equal_exactly_if_their_keys_are() {
        assert_eq!(Owner::from_key("sk-a"), Owner::from_key("sk-a"));
        assert_ne!(Owner::from_key("sk-a"), Owner::from_key("sk-b"));
        assert_ne!(Owner::from_key(""), Owner::anonymous());
    }

    #[test]
    fn debug_shows_no_key() {
        let shown = format!("{:?}", Owner::from_key("sk-secret"));
        assert!(!shown.contains("secret"), "{shown}");
        assert_eq!(shown.len(), "Owner(12345678)".len());
        assert_eq!(format!("{:?}", Owner::anonymous()), "Owner(anonymous)");
    }
}
