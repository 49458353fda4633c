//! What signals mean here: SIGTERM and SIGINT stop in order, a second one at once, SIGHUP
//! reads the registry again.

use sensorium_engine::Engine;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that are listened to.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

// === impl Signals ===

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// If the system refuses.
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Resolves when the server is to stop, with the signal's name; reloads the registry meanwhile.
    pub(crate) async fn until_stop(&mut self, engine: &Engine) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.hangup.recv() => {
                    // Models may take long to load, and a signal to stop must not wait for them.
                    let engine = engine.clone();
                    // The engine logs what came of it.
                    tokio::spawn(async move { drop(engine.reload().await) });
                }
            }
        }
    }

    /// Resolves when the server is to stop at once.
    pub(crate) async fn until_again(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
