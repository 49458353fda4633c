//! Where a model whose replies are streamed puts what it makes.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::{CallContext, ChatEvent, PluginError};

/// How often a reply that waits for the host to read says that it is not stalled.
const WAITING: Duration = Duration::from_millis(500);

/// The way back of one request. Dropping it before it has sent its last event or an error tells the host that the
/// instance failed.
#[derive(Debug)]
pub struct Reply<E> {
    events: mpsc::Sender<Result<E, PluginError>>,
    context: CallContext,
    /// What is given back when the work has ended.
    _held: Option<Arc<dyn Held>>,
}

/// The way back of one chat request; its last event is `Finished` or `Refused`.
pub type ChatReply = Reply<ChatEvent>;

/// Anything that a reply keeps alive.
pub(crate) trait Held: Any + std::fmt::Debug + Send + Sync {}

impl<T: Any + std::fmt::Debug + Send + Sync> Held for T {}

/// Nobody waits for the reply any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nobody waits for the reply any more")]
pub struct Gone;

// === impl Reply ===

impl<E> Reply<E> {
    /// A reply into `events`; `context` says when nobody waits for it any more and counts its progress.
    pub fn new(events: mpsc::Sender<Result<E, PluginError>>, context: CallContext) -> Self {
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
    pub async fn send(&self, event: E) -> Result<(), Gone> {
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

    /// Tells the host that a unit of work (a token, a denoise step) has been done, or as much work as one.
    pub fn tick(&self) {
        self.context.tick();
    }

    /// Sends an event that there is sure to be room for. One that there isn't is more than was asked for.
    pub(crate) fn put_now(&self, event: E) -> Result<(), Gone> {
        self.context.tick();
        if self.is_cancelled() {
            return Err(Gone);
        }
        self.events.try_send(Ok(event)).map_err(|_| Gone)
    }

    /// Ends the reply with an error, if there is room for one.
    pub(crate) fn fail_now(self, error: PluginError) {
        // If nobody waits for it, nobody is to be told; a reply without an end is an error too.
        let _ = self.events.try_send(Err(error));
    }

    /// How many events there is room for.
    pub(crate) fn room(&self) -> usize {
        self.events.capacity()
    }

    async fn put(&self, event: Result<E, PluginError>) -> Result<(), Gone> {
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
