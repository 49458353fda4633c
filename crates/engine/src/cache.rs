//! The embedding cache: vectors by the content that they were made from.
//!
//! A key is a BLAKE3 hash over everything that a vector depends on and everything that
//! must keep two entries apart: owner, model, revision, kind of input, shape, truncation
//! and content. Every part is written with a tag and its length, so no two different
//! lists of parts make the same byte string: an image of 30×100 pixels never meets one of
//! 100×30, nor a text the bytes of an image.

use std::sync::Arc;

use moka::sync::Cache;
use sensorium_contract::{EmbedInput, EmbedPayload, Embedding};

use crate::Owner;

/// What an entry costs besides its numbers: key, counters, pointers and the cache's own
/// nodes. Measured roughly, and rounded up so that the bound errs on the safe side.
const ENTRY_OVERHEAD_BYTES: usize = 256;

/// Embeddings of earlier requests, bounded in bytes. Cheap to clone; clones share it.
#[derive(Clone)]
pub(crate) struct EmbeddingCache {
    entries: Option<Cache<CacheKey, Arc<Embedding>>>,
}

/// Names one input of one owner to one revision of one model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CacheKey([u8; 32]);

/// The part of a key that all inputs of a request share, hashed once.
#[derive(Clone)]
pub(crate) struct CacheScope(blake3::Hasher);

/// What a part of a key is. Each is written before its part, so parts can't be confused.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Part {
    Owner = 1,
    Model = 2,
    Revision = 3,
    Truncate = 4,
    Text = 5,
    ImageSize = 6,
    ImagePixels = 7,
    TokenIds = 8,
}

// === impl EmbeddingCache ===

impl EmbeddingCache {
    /// A cache of at most about `bytes`; with 0 it is off: it finds and keeps nothing.
    pub(crate) fn new(bytes: u64) -> Self {
        let entries = (bytes > 0).then(|| {
            Cache::builder()
                .name("embeddings")
                .max_capacity(bytes)
                .weigher(|_: &CacheKey, embedding: &Arc<Embedding>| weight(embedding))
                .build()
        });
        Self { entries }
    }

    /// False if it was made with 0 bytes: then callers need not make keys.
    pub(crate) fn is_enabled(&self) -> bool {
        self.entries.is_some()
    }

    /// The vector kept under `key`.
    pub(crate) fn get(&self, key: &CacheKey) -> Option<Arc<Embedding>> {
        self.entries.as_ref()?.get(key)
    }

    /// Keeps `embedding` under `key`, for as long as it is used often enough.
    pub(crate) fn insert(&self, key: CacheKey, embedding: Arc<Embedding>) {
        if let Some(entries) = &self.entries {
            entries.insert(key, embedding);
        }
    }

    /// Bytes held, roughly; pending insertions and evictions are counted a little later.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> u64 {
        self.entries.as_ref().map_or(0, Cache::weighted_size)
    }
}

// === impl CacheScope ===

impl CacheScope {
    /// Keys of `owner` for `revision` (of the capabilities) of the model with this id.
    pub(crate) fn new(owner: &Owner, model: &str, revision: &str) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("sensorium 2026 embedding cache key");
        write_part(&mut hasher, Part::Owner, owner.as_bytes());
        write_part(&mut hasher, Part::Model, model.as_bytes());
        write_part(&mut hasher, Part::Revision, revision.as_bytes());
        Self(hasher)
    }

    /// The key of one input.
    pub(crate) fn key(&self, input: &EmbedInput) -> CacheKey {
        let mut hasher = self.0.clone();
        write_part(&mut hasher, Part::Truncate, &[u8::from(input.truncate)]);
        match &input.payload {
            EmbedPayload::Text(text) => write_part(&mut hasher, Part::Text, text.as_bytes()),
            EmbedPayload::Image(image) => {
                let mut size = [0; 8];
                size[..4].copy_from_slice(&image.width().to_le_bytes());
                size[4..].copy_from_slice(&image.height().to_le_bytes());
                write_part(&mut hasher, Part::ImageSize, &size);
                write_part(&mut hasher, Part::ImagePixels, image.as_bytes());
            }
            EmbedPayload::TokenIds(ids) => {
                let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
                write_part(&mut hasher, Part::TokenIds, &bytes);
            }
        }
        CacheKey(hasher.finalize().into())
    }
}

// === helpers ===

/// Tag, length, bytes.
fn write_part(hasher: &mut blake3::Hasher, part: Part, bytes: &[u8]) {
    hasher.update(&[part as u8]);
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}

/// Bytes that an entry takes.
fn weight(embedding: &Embedding) -> u32 {
    let numbers = embedding.values.capacity() * size_of::<f32>();
    u32::try_from(numbers + size_of::<CacheKey>() + size_of::<Embedding>() + ENTRY_OVERHEAD_BYTES).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use sensorium_contract::RgbImage;

    use super::*;

    fn text(text: &str, truncate: bool) -> EmbedInput {
        EmbedInput {
            payload: EmbedPayload::Text(text.into()),
            truncate,
        }
    }

    fn ids(ids: &[u32]) -> EmbedInput {
        EmbedInput {
            payload: EmbedPayload::TokenIds(ids.to_vec()),
            truncate: true,
        }
    }

    fn image(width: u32, height: u32, byte: u8) -> EmbedInput {
        let pixels = vec![byte; (width * height * 3) as usize];
        let image = RgbImage::new(width, height, pixels).expect("sizes agree");
        EmbedInput {
            payload: EmbedPayload::Image(image),
            truncate: true,
        }
    }

    fn embedding(width: usize) -> Arc<Embedding> {
        Arc::new(Embedding {
            values: vec![0.5; width],
            tokens: 3,
            truncated: false,
        })
    }

    #[test]
    fn inputs_that_differ_have_keys_that_differ() {
        let alice = Owner::from_key("alice");
        let scope = || CacheScope::new(&alice, "m", "r1");
        let rows: Vec<(&str, CacheKey)> = vec![
            ("text a", scope().key(&text("a", true))),
            ("text a, not to be cut", scope().key(&text("a", false))),
            ("text b", scope().key(&text("b", true))),
            ("empty text", scope().key(&text("", true))),
            ("a text that is an image's bytes", scope().key(&text("aaa", true))),
            ("a text that is a token's bytes", scope().key(&text("a\0\0\0", true))),
            ("token a", scope().key(&ids(&[u32::from(b'a')]))),
            ("two tokens", scope().key(&ids(&[u32::from(b'a'), 0]))),
            ("no tokens", scope().key(&ids(&[]))),
            ("one pixel aaa", scope().key(&image(1, 1, b'a'))),
            ("30×100", scope().key(&image(30, 100, 7))),
            ("100×30", scope().key(&image(100, 30, 7))),
            ("3000×1", scope().key(&image(3000, 1, 7))),
            (
                "another owner",
                CacheScope::new(&Owner::from_key("bob"), "m", "r1").key(&text("a", true)),
            ),
            (
                "no owner",
                CacheScope::new(&Owner::anonymous(), "m", "r1").key(&text("a", true)),
            ),
            (
                "another model",
                CacheScope::new(&alice, "n", "r1").key(&text("a", true)),
            ),
            (
                "another revision",
                CacheScope::new(&alice, "m", "r2").key(&text("a", true)),
            ),
            (
                "model and revision share letters",
                CacheScope::new(&alice, "mr", "1").key(&text("a", true)),
            ),
        ];
        let mut seen = HashMap::new();
        for (name, key) in rows {
            if let Some(other) = seen.insert(key, name) {
                panic!("{name} and {other} have one key");
            }
        }
    }

    #[test]
    fn an_input_has_one_key() {
        let scope = CacheScope::new(&Owner::anonymous(), "m", "r");
        assert_eq!(scope.key(&text("a", true)), scope.key(&text("a", true)));
        assert_eq!(scope.key(&image(3, 2, 9)), scope.key(&image(3, 2, 9)));
    }

    #[test]
    fn what_was_kept_is_found() {
        let cache = EmbeddingCache::new(1 << 20);
        let scope = CacheScope::new(&Owner::anonymous(), "m", "r");
        let (a, b) = (scope.key(&text("a", true)), scope.key(&text("b", true)));
        assert_eq!(cache.get(&a), None);
        cache.insert(a, embedding(4));
        assert_eq!(cache.get(&a), Some(embedding(4)));
        assert_eq!(cache.get(&b), None);
    }

    #[test]
    fn a_cache_of_no_bytes_keeps_nothing() {
        let cache = EmbeddingCache::new(0);
        let key = CacheScope::new(&Owner::anonymous(), "m", "r").key(&text("a", true));
        cache.insert(key, embedding(4));
        assert!(!cache.is_enabled());
        assert_eq!(cache.get(&key), None);
        assert_eq!(cache.bytes(), 0);
    }

    #[test]
    fn bytes_stay_below_the_bound() {
        let bound = 1 << 20;
        let cache = EmbeddingCache::new(bound);
        let scope = CacheScope::new(&Owner::anonymous(), "m", "r");
        for index in 0..5_000 {
            cache.insert(scope.key(&text(&index.to_string(), true)), embedding(512));
        }
        cache.entries.as_ref().expect("it is on").run_pending_tasks();
        assert!(cache.bytes() <= bound, "{} bytes", cache.bytes());
        assert!(cache.bytes() > bound / 2, "{} bytes", cache.bytes());
    }
}
