//! How many calls are under way, and how much has been done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::CallContext;

/// Counts work of all tasks. Clones count together.
#[derive(Debug, Clone, Default)]
pub(super) struct WorkCounter {
    progress: Arc<AtomicU64>,
    running: Arc<watch::Sender<u32>>,
}

/// One call that waits or computes, until dropped.
#[derive(Debug)]
pub(super) struct Working(Arc<watch::Sender<u32>>);

// === impl WorkCounter ===

impl WorkCounter {
    pub(super) fn begin(&self) -> Working {
        self.running.send_modify(|running| *running += 1);
        Working(self.running.clone())
    }

    pub(super) fn running(&self) -> u32 {
        *self.running.borrow()
    }

    pub(super) fn progress(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
    }

    /// Counts units that a model did without reporting them itself.
    pub(super) fn add(&self, units: u64) {
        self.progress.fetch_add(units, Ordering::Relaxed);
    }

    pub(super) fn context(&self, cancelled: CancellationToken) -> CallContext {
        CallContext::new(cancelled, self.progress.clone())
    }

    /// Resolves when nothing runs.
    pub(super) async fn idle(&self) {
        // `self` holds the sender, so this can't fail.
        let _ = self.running.subscribe().wait_for(|running| *running == 0).await;
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.send_modify(|running| *running -= 1);
    }
}
