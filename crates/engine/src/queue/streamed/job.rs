//! One chat request on its way through the queue, and the way back: its reply as it is made.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use sensorium_contract::{ChatEvent, ChatRequest, ChatStarted};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::metrics::GaugeGuard;

/// Events that wait for a slow consumer; a full buffer stalls this reply alone.
const EVENTS: usize = 256;

/// The same where each event carries log probabilities, and so a kilobyte or two.
const LARGE_EVENTS: usize = 32;

/// One prompt that is to be answered once.
#[derive(Debug)]
pub(in crate::queue) struct ChatJob {
    deadline: Instant,
    queued: Instant,
    gone: CancellationToken,
    stage: Mutex<Stage>,
}

/// What a request gets when the prompt has been read.
#[derive(Debug)]
pub(in crate::queue) struct Opened {
    pub(super) started: ChatStarted,
    pub(super) events: mpsc::Receiver<ChatEvent>,
}

/// When it gets it.
pub(in crate::queue) type Opening = oneshot::Receiver<Result<Opened, Error>>;

/// How far a reply has come.
#[derive(Debug)]
enum Stage {
    /// It waits, or its prompt is being read.
    Waiting {
        request: ChatRequest,
        opening: oneshot::Sender<Result<Opened, Error>>,
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

// === impl ChatJob ===

impl ChatJob {
    /// A job for `request`, due at `deadline`, that also ends with `cancel`; and when its reply begins.
    pub(in crate::queue) fn new(
        request: ChatRequest,
        deadline: Instant,
        cancel: &CancellationToken,
        waiting: GaugeGuard,
    ) -> (Arc<ChatJob>, Opening) {
        let (sender, opening) = oneshot::channel();
        let stage = Stage::Waiting {
            request,
            opening: sender,
            counted: waiting,
            begun: false,
        };
        let job = ChatJob {
            deadline,
            queued: Instant::now(),
            gone: cancel.child_token(),
            stage: Mutex::new(stage),
        };
        (Arc::new(job), opening)
    }

    /// What is asked, cheaply cloned: pixels are shared. `None` once the prompt has been read, or nobody waits for it.
    pub(super) fn request(&self) -> Option<ChatRequest> {
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

    /// True if nobody waits for it any more: not worth sending.
    pub(in crate::queue) fn is_over(&self, now: Instant) -> bool {
        self.gone.is_cancelled() || self.deadline <= now
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
    pub(in crate::queue) fn open(&self, started: ChatStarted) -> Option<mpsc::Sender<ChatEvent>> {
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
        let room = match request.top_logprobs {
            None => EVENTS,
            Some(_) => LARGE_EVENTS,
        };
        let (sender, events) = mpsc::channel(room);
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

    /// It ends with an error, unless it is over.
    pub(in crate::queue) fn fail(&self, error: Error) {
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

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
