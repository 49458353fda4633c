//! Who may go next. The engine is never given more than it computes at once, so that nothing waits inside it: what
//! waits there can't be called off, and is computed anew without its images when it comes back.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Tokens of the key-value cache are counted in these.
const BLOCK: u32 = 32;

/// The way into the engine, first come first served. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Lane {
    sequences: Arc<Semaphore>,
    /// Present if keys and values have a fixed room: its free blocks, and all of them.
    blocks: Option<(Arc<Semaphore>, u32)>,
}

/// What a request takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Tokens of prompt and reply.
    pub(crate) tokens: u32,
}

/// A place in the engine, until dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _sequence: OwnedSemaphorePermit,
    _blocks: Option<OwnedSemaphorePermit>,
}

// === impl Lane ===

impl Lane {
    /// A lane for `sequences` at once, whose keys and values have room for `kv_tokens` in all.
    pub(crate) fn new(sequences: u32, kv_tokens: Option<u32>) -> Self {
        let blocks = kv_tokens.map(|tokens| (tokens / BLOCK).max(1));
        Self {
            sequences: Arc::new(Semaphore::new(sequences as usize)),
            blocks: blocks.map(|blocks| (Arc::new(Semaphore::new(blocks as usize)), blocks)),
        }
    }

    /// Waits for a place; dropping the future gives the turn up.
    pub(crate) async fn enter(&self, load: Load) -> Place {
        const OPEN: &str = "the semaphores are never closed";
        let sequence = self.sequences.clone().acquire_owned().await.expect(OPEN);
        let blocks = match &self.blocks {
            Some((free, all)) => {
                // The engine allocates whole blocks, and one ahead.
                let wanted = (load.tokens.div_ceil(BLOCK) + 1).min(*all);
                Some(free.clone().acquire_many_owned(wanted).await.expect(OPEN))
            }
            None => None,
        };
        Place {
            _sequence: sequence,
            _blocks: blocks,
        }
    }

    /// Share of the keys' and values' room that is taken, where it has a fixed size.
    pub(crate) fn kv_usage(&self) -> Option<f32> {
        let (free, all) = self.blocks.as_ref()?;
        Some(1.0 - free.available_permits() as f32 / *all as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places_are_bounded_by_sequences_and_by_room() {
        let lane = Lane::new(2, Some(320));
        let first = lane.enter(Load { tokens: 160 }).await;
        assert_eq!(lane.kv_usage(), Some(0.6));
        let second = tokio::time::timeout(std::time::Duration::from_millis(20), lane.enter(Load { tokens: 160 })).await;
        assert!(second.is_err(), "there is no room for both");
        drop(first);
        let _second = lane.enter(Load { tokens: 1_000_000 }).await;
        assert_eq!(lane.kv_usage(), Some(1.0));
        assert_eq!(Lane::new(1, None).kv_usage(), None);
    }
}
