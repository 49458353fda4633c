//! What every handler shares.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use sensorium_engine::Engine;
use sensorium_media::Media;

use crate::body::BodyBudget;
use crate::config::Config;
use crate::files::FileStore;

/// What every handler shares; one for the whole server.
pub(crate) struct AppState {
    /// Settings and limits.
    pub(crate) config: Config,
    /// The models.
    pub(crate) engine: Engine,
    /// The only way in for images.
    pub(crate) media: Media,
    /// Bytes that bodies may take.
    pub(crate) bodies: BodyBudget,
    /// Memory that their JSON values may take.
    pub(crate) parsing: BodyBudget,
    /// Images that links lead to.
    pub(crate) files: FileStore,
    /// Requests under way, probes not counted.
    pub(crate) running: Running,
    /// When the server was built.
    pub(crate) started: Instant,
}

/// Counts requests under way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Running(Arc<AtomicUsize>);

/// One request under way; dropping it ends it.
#[derive(Debug)]
pub(crate) struct RunningGuard(Running);

// === impl Running ===

impl Running {
    /// Counts one more until the guard is dropped.
    pub(crate) fn enter(&self) -> RunningGuard {
        self.0.fetch_add(1, Ordering::Relaxed);
        RunningGuard(self.clone())
    }

    /// Requests under way now.
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

// === impl RunningGuard ===

impl Drop for RunningGuard {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
