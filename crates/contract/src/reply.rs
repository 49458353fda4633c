//! Where a chat model puts what it makes.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::{CallContext, ChatEvent, PluginError};

/// How often a reply that waits for the host to read says that it is not stalled.
const WAITING: Duration = Duration::from_millis(500);

/// The way back of one chat request. Dropping it before it has sent `Finished`, `Refused` or an error tells the host
/// that the instance failed.
#[derive(Debug)]
pub struct ChatReply {
    events: mpsc::Sender<Result<ChatEvent, PluginError>>,
    context: CallContext,
    /// What is given back when the work has ended.
    _held: Option<Arc<dyn Held>>,
}

/// Anything that a reply keeps alive.
pub(crate) trait Held: Any + std::fmt::Debug + Send + Sync {}

impl<T: Any + std::fmt::Debug + Send + Sync> Held for T {}

/// Nobody waits for the reply any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nobody waits for the reply any more")]
pub struct Gone;

// === impl ChatReply ===

impl ChatReply {
    /// A reply into `events`; `context` says when nobody waits for it any more and counts its progress.
    pub fn new(events: mpsc::Sender<Result<ChatEvent, PluginError>>, context: CallContext) -> Self {
        Self {
            events,
            context,
            _held: None,
        }
    }

    /// Keeps `held` alive until the reply is dropped.
    pub(crate) fn holding(self, held: Arc<dyn Held>) -> Self {
        Self {
            _held: Some(held),
            ..self
        }
    }

    /// Sends an event, waiting while the host is slow to read; that is no stall.
    ///
    /// # Errors
    /// If nobody waits for it any more: the work is to end.
    pub async fn send(&self, event: ChatEvent) -> Result<(), Gone> {
        self.put(Ok(event)).await
    }

    /// Ends the reply with an error.
    pub async fn fail(self, error: PluginError) {
        // If nobody waits for it, nobody is to be told.
        let _ = self.put(Err(error)).await;
    }

    /// True once nobody waits for the reply any more.
    pub fn is_cancelled(&self) -> bool {
        self.context.is_cancelled() || self.events.is_closed()
    }

    /// Resolves once nobody waits for the reply any more.
    pub async fn cancelled(&self) {
        tokio::select! {
            () = self.context.cancelled() => {}
            () = self.events.closed() => {}
        }
    }

    /// Tells the host that a token has been made, or as much work as one.
    pub fn tick(&self) {
        self.context.tick();
    }

    async fn put(&self, event: Result<ChatEvent, PluginError>) -> Result<(), Gone> {
        self.context.tick();
        loop {
            tokio::select! {
                permit = self.events.reserve() => {
                    permit.map_err(|_| Gone)?.send(event);
                    return Ok(());
                }
                () = self.context.cancelled() => return Err(Gone),
                () = tokio::time::sleep(WAITING) => self.context.tick(),
            }
        }
    }
}
