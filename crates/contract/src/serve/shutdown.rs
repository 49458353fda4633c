//! The orderly end: on SIGTERM or `Lifecycle.Stop`, finish what runs, then exit.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::model::ModelSlot;

/// What running calls are given after SIGTERM. Whoever sent it may send SIGKILL sooner.
const SIGTERM_GRACE: Duration = Duration::from_secs(30);

/// What the last replies are given to leave the socket.
const FLUSH_TIME: Duration = Duration::from_millis(500);

/// Asks for the end.
#[derive(Debug, Clone)]
pub(super) struct Stop(mpsc::Sender<Duration>);

/// Where the end has got to.
#[derive(Debug)]
pub(super) struct Shutdown {
    drained: CancellationToken,
    flushed: CancellationToken,
}

// === impl Stop ===

impl Stop {
    /// What runs has `grace` to finish. Only the first request counts.
    pub(super) fn request(&self, grace: Duration) {
        // Full or closed: the end has been asked for already.
        let _ = self.0.try_send(grace);
    }
}

// === impl Shutdown ===

impl Shutdown {
    /// Watches for SIGTERM and for [`Stop::request`]. Needs a runtime.
    pub(super) fn new(model: Arc<ModelSlot>) -> std::io::Result<(Stop, Self)> {
        let mut sigterm = signal(SignalKind::terminate())?;
        let (sender, mut stop) = mpsc::channel(1);
        let shutdown = Self {
            drained: CancellationToken::new(),
            flushed: CancellationToken::new(),
        };
        let (drained, flushed) = (shutdown.drained.clone(), shutdown.flushed.clone());
        tokio::spawn(async move {
            let grace = tokio::select! {
                _ = sigterm.recv() => SIGTERM_GRACE,
                Some(grace) = stop.recv() => grace,
            };
            tracing::info!(grace_ms = grace.as_millis() as u64, "stopping");
            model.close();
            if tokio::time::timeout(grace, model.work().idle()).await.is_err() {
                tracing::warn!(
                    running = model.work().running(),
                    "calls did not finish within the grace period"
                );
            }
            drained.cancel();
            tokio::time::sleep(FLUSH_TIME).await;
            flushed.cancel();
        });
        Ok((Stop(sender), shutdown))
    }

    /// Resolves when nothing runs any more, or the grace period is over.
    pub(super) fn drained(&self) -> impl Future<Output = ()> + Send + 'static {
        self.drained.clone().cancelled_owned()
    }

    /// Resolves when the process must end, whoever is still connected.
    pub(super) fn flushed(&self) -> impl Future<Output = ()> + Send + 'static {
        self.flushed.clone().cancelled_owned()
    }
}
