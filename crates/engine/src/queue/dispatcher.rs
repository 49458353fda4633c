//! Sends what waits to the instances that can take it.
//!
//! There is no task that pulls: whoever changes something — a request that joins the
//! queue, a call that ends, an instance that becomes ready — calls `pump` under the one
//! short lock, and each call that results becomes a task of its own. So a request on an
//! idle model is on its way without waiting for anybody to wake up.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sensorium_contract::{EmbedInput, Task};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::job::{Attempt, Job, Part};
use super::lane::Lane;
use super::lanes::Kind;
use super::pairing::{Limits, Next, Pairing, Work};
use super::streamed::{self, QueuedJob, StreamJob, Streamed, Turn};
use super::ticket::Ticket;
use super::{call, job};
use crate::{Error, Metrics};

/// One model's queue and the lanes of its instances.
pub(crate) struct Dispatcher {
    settings: QueueSettings,
    runtime: Handle,
    metrics: Arc<Metrics>,
    max_bytes: usize,
    state: Mutex<State>,
}

/// What the queue of one model needs to know.
#[derive(Debug, Clone)]
pub(crate) struct QueueSettings {
    /// The model's id.
    pub(crate) model: String,
    /// The plugin's name; a metric label.
    pub(crate) plugin: String,
    /// Most items in a batch, and most prompts under way on one instance, if the registry bounds them.
    pub(crate) max_batch: Option<usize>,
    /// Most bytes in one message.
    pub(crate) max_message_bytes: usize,
}

struct State {
    pairing: Pairing,
    /// Set while no instance will ever take anything: why.
    closed: Option<Error>,
    /// A timer that will pump is set for then.
    timer: Option<Instant>,
}

/// Bytes of a message beside its items.
const MESSAGE_OVERHEAD: usize = 1024;

// === impl Dispatcher ===

impl Dispatcher {
    /// Calls run on `runtime`, whoever joins the queue.
    pub(crate) fn new(settings: QueueSettings, runtime: Handle, metrics: Arc<Metrics>) -> Arc<Dispatcher> {
        let limits = Limits {
            max_batch: settings.max_batch.unwrap_or(usize::MAX),
            max_bytes: settings.max_message_bytes.saturating_sub(MESSAGE_OVERHEAD),
        };
        let state = State {
            pairing: Pairing::new(limits),
            closed: None,
            timer: None,
        };
        Arc::new(Dispatcher {
            settings,
            runtime,
            metrics,
            max_bytes: limits.max_bytes,
            state: Mutex::new(state),
        })
    }

    pub(super) fn settings(&self) -> &QueueSettings {
        &self.settings
    }

    /// Puts a request's inputs (at least one) into the queue.
    ///
    /// # Errors
    /// Why nothing is taken at present, or which input is too large for any message.
    pub(crate) fn submit(
        self: &Arc<Self>,
        inputs: Vec<EmbedInput>,
        deadline: Instant,
        cancel: &CancellationToken,
    ) -> Result<Ticket, Error> {
        if let Some(error) = job::oversized(&inputs, self.max_bytes) {
            return Err(error);
        }
        let waiting = self.metrics.waiting(&self.settings.model, Task::Embed);
        let (job, answer) = Job::new(inputs, deadline, cancel, waiting);
        let mut state = self.state();
        if let Some(error) = &state.closed {
            return Err(error.clone());
        }
        for part in job.parts() {
            state.pairing.waiting.push(part);
        }
        self.pump(state);
        Ok(Ticket::new(Arc::clone(self), job, answer))
    }

    /// Puts a prompt into the queue.
    ///
    /// # Errors
    /// Why nothing is taken at present.
    pub(crate) fn submit_streamed<E: Streamed>(
        self: &Arc<Self>,
        request: E::Request,
        deadline: Instant,
        cancel: &CancellationToken,
    ) -> Result<streamed::Ticket<E>, Error> {
        let waiting = self.metrics.waiting(&self.settings.model, E::TASK);
        let (job, opening) = StreamJob::new(request, deadline, cancel, waiting);
        let mut state = self.state();
        if let Some(error) = &state.closed {
            return Err(error.clone());
        }
        let queued = Arc::clone(&job);
        state.pairing.turns.push(Turn::new(queued, streamed::Attempt::First));
        self.pump(state);
        Ok(streamed::Ticket::new(Arc::clone(self), job, opening))
    }

    /// Takes what is left of a job out of the queue.
    pub(super) fn forget(&self, job: &Arc<Job>) {
        if !job.is_answered() {
            self.state().pairing.waiting.forget(job);
        }
    }

    /// Takes a prompt out of the queue, if it is still there.
    pub(super) fn forget_turn(&self, job: &Arc<dyn QueuedJob>) {
        self.state().pairing.turns.forget(job);
    }

    /// Parts tried again: each goes alone, before all that wait.
    pub(super) fn retry(self: &Arc<Self>, parts: Vec<Part>) {
        let mut state = self.state();
        for part in parts {
            match &state.closed {
                Some(error) => part.job.fail(error.clone()),
                None => state.pairing.waiting.push(Part {
                    attempt: Attempt::Alone,
                    ..part
                }),
            }
        }
        self.pump(state);
    }

    /// A prompt tried again: before all that wait.
    pub(super) fn retry_turn(self: &Arc<Self>, turn: Turn) {
        let mut state = self.state();
        match &state.closed {
            Some(error) => turn.job.fail(error.clone()),
            None => state.pairing.turns.push(turn),
        }
        self.pump(state);
    }

    /// An instance can take calls.
    pub(crate) fn open(self: &Arc<Self>, lane: Arc<Lane>) {
        let mut state = self.state();
        state.closed = None;
        state.pairing.lanes.add(lane);
        self.pump(state);
    }

    /// An instance takes no more; what is under way on it ends in its own time.
    pub(crate) fn close(&self, lane: &Arc<Lane>) {
        self.state().pairing.lanes.remove(lane);
    }

    /// No instance will take anything: everything that waits, and everything that comes, fails with `error`.
    pub(crate) fn refuse(&self, error: Error) {
        let mut state = self.state();
        state.closed = Some(error.clone());
        let (parts, turns) = (state.pairing.waiting.drain(), state.pairing.turns.drain());
        drop(state);
        for part in parts {
            part.job.fail(error.clone());
        }
        for turn in turns {
            turn.job.fail(error.clone());
        }
    }

    /// An instance is on its way: what comes may wait for it.
    pub(crate) fn accept(&self) {
        self.state().closed = None;
    }

    /// From now on, how long a batch that isn't full is held for others.
    pub(crate) fn set_wait(&self, wait: Duration) {
        self.state().pairing.wait = wait;
    }

    /// A call on this lane has ended, that had to go `alone` or not.
    pub(super) fn ended(self: &Arc<Self>, lane: &Arc<Lane>, kind: Kind, alone: bool) {
        lane.call_ended();
        let mut state = self.state();
        state.pairing.lanes.ended(lane, kind, alone);
        self.pump(state);
    }

    /// A prompt has been read, that had to go `alone` or not.
    pub(super) fn opened(self: &Arc<Self>, lane: &Arc<Lane>, alone: bool) {
        let mut state = self.state();
        state.pairing.lanes.opened(lane, alone);
        self.pump(state);
    }

    /// Sends whatever can be sent.
    fn pump(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let now = Instant::now();
        let mut calls = Vec::new();
        loop {
            match state.pairing.next(now) {
                Next::Go(lane, work) => {
                    lane.call_started();
                    calls.push((lane, work));
                }
                Next::Later(at) => {
                    if state.timer.is_none_or(|set| at < set) {
                        state.timer = Some(at);
                        self.runtime.spawn(pump_at(Arc::clone(self), at));
                    }
                    break;
                }
                Next::Nothing => break,
            }
        }
        drop(state);
        for (lane, work) in calls {
            let dispatcher = Arc::clone(self);
            match work {
                Work::Batch(batch) => self.runtime.spawn(call::run(dispatcher, lane, batch)),
                Work::Stream(turn) => self.runtime.spawn(turn.job.run(dispatcher, lane, turn.attempt)),
            };
        }
    }

    /// Counts the requests of a batch as running, no longer as waiting.
    pub(super) fn observe_begin(&self, parts: &[Part]) {
        let model = &self.settings.model;
        for part in parts {
            if part.job.begin(|| self.metrics.running(model, Task::Embed)) {
                self.metrics.queued(model, Task::Embed, part.job.queued().elapsed());
            }
        }
    }

    /// Counts a call of so many items that was answered.
    pub(super) fn observe_call(&self, items: usize, took: Duration) {
        self.metrics.inference(&self.settings.model, Task::Embed, items, took);
    }

    /// Counts a prompt as running, no longer as waiting; and what measures its reply.
    pub(super) fn observe_stream_begin<E: Streamed>(&self, job: &StreamJob<E>) -> E::Meter {
        let model = &self.settings.model;
        if job.begin(|| self.metrics.running(model, E::TASK)) {
            self.metrics.queued(model, E::TASK, job.queued().elapsed());
        }
        E::meter(&self.metrics, model, job.queued())
    }

    /// Counts a reply that came to its end.
    pub(super) fn observe_stream_call(&self, task: Task, took: Duration) {
        self.metrics.call(&self.settings.model, task, took);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Pumps when something has waited for long enough.
async fn pump_at(dispatcher: Arc<Dispatcher>, at: Instant) {
    tokio::time::sleep_until(at.into()).await;
    let mut state = dispatcher.state();
    if state.timer == Some(at) {
        state.timer = None;
    }
    dispatcher.pump(state);
}
