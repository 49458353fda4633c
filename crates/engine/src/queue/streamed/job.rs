//! One prompt on its way through the queue, and the way back: its reply as it is made.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::call;
use super::task::Streamed;
use super::turns::Attempt;
use crate::Error;
use crate::metrics::GaugeGuard;
use crate::queue::Dispatcher;
use crate::queue::lane::Lane;

/// One prompt that is to be answered once.
#[derive(Debug)]
pub(in crate::queue) struct StreamJob<E: Streamed> {
    deadline: Instant,
    queued: Instant,
    gone: CancellationToken,
    stage: Mutex<Stage<E>>,
}

/// What a request gets when the prompt has been read.
#[derive(Debug)]
pub(in crate::queue) struct Opened<E: Streamed> {
    pub(super) started: E::Started,
    pub(super) events: mpsc::Receiver<E>,
}

/// When it gets it.
pub(in crate::queue) type Opening<E> = oneshot::Receiver<Result<Opened<E>, Error>>;

/// A job of any task, as the queue sees it.
pub(in crate::queue) trait QueuedJob: std::fmt::Debug + Send + Sync {
    /// True if nobody waits for it any more: not worth sending.
    fn is_over(&self, now: Instant) -> bool;

    /// It ends with an error, unless it is over.
    fn fail(&self, error: Error);

    /// Sends it to an instance and passes its reply on.
    fn run(self: Arc<Self>, dispatcher: Arc<Dispatcher>, lane: Arc<Lane>, attempt: Attempt) -> BoxFuture<'static, ()>;
}

/// How far a reply has come.
#[derive(Debug)]
enum Stage<E: Streamed> {
    /// It waits, or its prompt is being read.
    Waiting {
        request: E::Request,
        opening: oneshot::Sender<Result<Opened<E>, Error>>,
        /// Counts it among the waiting requests until it begins, then among the running ones.
        counted: GaugeGuard,
        begun: bool,
    },
    /// Events come.
    Open {
        /// Counts it among the running requests.
        _counted: GaugeGuard,
    },
    /// Nothing comes any more; what went wrong, if something did.
    Over(Option<Error>),
}

// === impl StreamJob ===

impl<E: Streamed> StreamJob<E> {
    /// A job for `request`, due at `deadline`, that also ends with `cancel`; and when its reply begins.
    pub(in crate::queue) fn new(
        request: E::Request,
        deadline: Instant,
        cancel: &CancellationToken,
        waiting: GaugeGuard,
    ) -> (Arc<Self>, Opening<E>) {
        let (sender, opening) = oneshot::channel();
        let stage = Stage::Waiting {
            request,
            opening: sender,
            counted: waiting,
            begun: false,
        };
        let job = Self {
            deadline,
            queued: Instant::now(),
            gone: cancel.child_token(),
            stage: Mutex::new(stage),
        };
        (Arc::new(job), opening)
    }

    /// What is asked, cheaply cloned: pixels are shared. `None` once the prompt has been read, or nobody waits for it.
    pub(super) fn request(&self) -> Option<E::Request> {
        match &*self.stage() {
            Stage::Waiting { request, .. } => Some(request.clone()),
            Stage::Open { .. } | Stage::Over(_) => None,
        }
    }

    /// When its time is over.
    pub(in crate::queue) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// When it was made.
    pub(in crate::queue) fn queued(&self) -> Instant {
        self.queued
    }

    /// Nobody waits for it any more.
    pub(in crate::queue) fn call_off(&self) {
        self.gone.cancel();
    }

    /// Resolves when nobody waits for it any more.
    pub(super) async fn gone(&self) {
        self.gone.cancelled().await;
    }

    /// It is being sent. True if it has not been before: it no longer counts as waiting, but as running, until its
    /// reply is over.
    pub(in crate::queue) fn begin(&self, running: impl FnOnce() -> GaugeGuard) -> bool {
        match &mut *self.stage() {
            Stage::Waiting { counted, begun, .. } if !*begun => {
                *counted = running();
                *begun = true;
                true
            }
            Stage::Waiting { .. } | Stage::Open { .. } | Stage::Over(_) => false,
        }
    }

    /// The prompt has been read, and is let go. Where its events go; `None` if nobody waits for them.
    pub(in crate::queue) fn open(&self, started: E::Started) -> Option<mpsc::Sender<E>> {
        let mut stage = self.stage();
        let Stage::Waiting {
            request,
            opening,
            counted,
            ..
        } = std::mem::replace(&mut *stage, Stage::Over(None))
        else {
            return None;
        };
        let (sender, events) = mpsc::channel(E::room(&request));
        opening.send(Ok(Opened { started, events })).ok()?;
        *stage = Stage::Open { _counted: counted };
        Some(sender)
    }

    /// True until its prompt has been read, or has failed.
    pub(in crate::queue) fn is_waiting(&self) -> bool {
        matches!(*self.stage(), Stage::Waiting { .. })
    }

    /// True once its reply has begun, so that it can't be tried again.
    pub(in crate::queue) fn is_open(&self) -> bool {
        matches!(*self.stage(), Stage::Open { .. })
    }

    /// It is over, and whole or no longer wanted.
    pub(in crate::queue) fn close(&self) {
        let mut stage = self.stage();
        if !matches!(*stage, Stage::Over(_)) {
            *stage = Stage::Over(None);
        }
    }

    /// What went wrong, if something did; known before the channel of events closes.
    pub(in crate::queue) fn error(&self) -> Option<Error> {
        match &*self.stage() {
            Stage::Over(error) => error.clone(),
            Stage::Waiting { .. } | Stage::Open { .. } => None,
        }
    }

    fn stage(&self) -> MutexGuard<'_, Stage<E>> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<E: Streamed> QueuedJob for StreamJob<E> {
    fn is_over(&self, now: Instant) -> bool {
        self.gone.is_cancelled() || self.deadline <= now
    }

    fn fail(&self, error: Error) {
        let mut stage = self.stage();
        match std::mem::replace(&mut *stage, Stage::Over(None)) {
            Stage::Waiting { opening, counted, .. } => {
                // First, so that whoever has the answer no longer sees the request counted.
                drop(counted);
                // The request may have gone away meanwhile.
                let _ = opening.send(Err(error));
            }
            Stage::Open { .. } => *stage = Stage::Over(Some(error)),
            Stage::Over(known) => *stage = Stage::Over(known),
        }
    }

    fn run(self: Arc<Self>, dispatcher: Arc<Dispatcher>, lane: Arc<Lane>, attempt: Attempt) -> BoxFuture<'static, ()> {
        Box::pin(call::run(dispatcher, lane, self, attempt))
    }
}
