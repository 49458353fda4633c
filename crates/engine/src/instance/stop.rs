//! Tells instances to stop, and by when they must be gone.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tokio_util::sync::CancellationToken;

/// Tells instances to stop, and by when they must be gone. Clones are the same signal.
#[derive(Debug, Clone, Default)]
pub(crate) struct StopSignal {
    given: CancellationToken,
    deadline: Arc<OnceLock<Instant>>,
}

// === impl StopSignal ===

impl StopSignal {
    /// They are to stop; those that are still there at `deadline` are killed. The first deadline counts.
    pub(crate) fn give(&self, deadline: Instant) {
        self.deadline.get_or_init(|| deadline);
        self.given.cancel();
    }

    /// Whether they are to stop.
    pub(super) fn is_given(&self) -> bool {
        self.given.is_cancelled()
    }

    /// Resolves when they are to stop.
    pub(super) async fn given(&self) {
        self.given.cancelled().await;
    }

    /// When they must be gone; now, if nobody has said.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline.get().copied().unwrap_or_else(Instant::now)
    }
}
