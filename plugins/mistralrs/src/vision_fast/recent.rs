//! What was made lately, by what it was made of.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

/// Values that are remembered.
const KEPT: usize = 64;

/// The last few values, the latest used last.
#[derive(Debug)]
pub(super) struct Recent<T>(Mutex<VecDeque<(blake3::Hash, Arc<T>)>>);

// === impl Recent ===

impl<T> Recent<T> {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self(Mutex::default())
    }

    /// The value of `key`, which counts as a use.
    pub(super) fn get(&self, key: &blake3::Hash) -> Option<Arc<T>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = all.iter().position(|(own, _)| own == key)?;
        let found = all.remove(place)?;
        let value = found.1.clone();
        all.push_back(found);
        Some(value)
    }

    /// Remembers `value`; the one not used for longest may have to go.
    pub(super) fn put(&self, key: blake3::Hash, value: Arc<T>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(own, _)| *own != key);
        if all.len() >= KEPT {
            all.pop_front();
        }
        all.push_back((key, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_that_was_not_used_for_longest_goes() {
        let recent = Recent::new();
        let key = |index: usize| blake3::hash(&index.to_le_bytes());
        for index in 0..KEPT {
            recent.put(key(index), Arc::new(index));
        }
        assert_eq!(recent.get(&key(0)).as_deref(), Some(&0));
        recent.put(key(KEPT), Arc::new(KEPT));
        assert_eq!(recent.get(&key(1)), None);
        assert_eq!(recent.get(&key(0)).as_deref(), Some(&0));
        assert_eq!(recent.get(&key(KEPT)).as_deref(), Some(&KEPT));
    }
}
