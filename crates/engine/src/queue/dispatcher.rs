//! Pairs what waits with the instances that can take it.
//!
//! There is no task that pulls: whoever changes something — a request that joins the
//! queue, a call that ends, an instance that becomes ready — calls `pump` under the one
//! short lock, and each batch that results becomes a task of its own. So a request on an
//! idle model is on its way without waiting for anybody to wake up.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sensorium_contract::{Batching, EmbedInput, Task};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::job::{Attempt, Job, Part};
use super::lane::Lane;
use super::ticket::Ticket;
use super::waiting::{Batch, BatchRule, Demand, Taken, Waiting};
use super::{call, job};
use crate::{Error, Metrics};

/// One model's queue and the lanes of its instances.
pub(crate) struct Dispatcher {
    settings: QueueSettings,
    runtime: Handle,
    metrics: Arc<Metrics>,
    state: Mutex<State>,
}

/// What the queue of one model needs to know.
#[derive(Debug, Clone)]
pub(crate) struct QueueSettings {
    /// The model's id.
    pub(crate) model: String,
    /// The plugin's name; a metric label.
    pub(crate) plugin: String,
    /// Most items in a batch, if the registry bounds it.
    pub(crate) max_batch: Option<usize>,
    /// Most bytes in one message.
    pub(crate) max_message_bytes: usize,
}

#[derive(Default)]
struct State {
    waiting: Waiting,
    /// How long a batch that isn't full is held for others.
    wait: Duration,
    lanes: Vec<Slot>,
    /// Set while no instance will ever take anything: why.
    closed: Option<Error>,
    /// A timer that will pump is set for then.
    timer: Option<Instant>,
}

struct Slot {
    lane: Arc<Lane>,
    outstanding: usize,
    /// A part that goes alone is under way.
    exclusive: bool,
}

/// Bytes of a message beside its items.
const MESSAGE_OVERHEAD: usize = 1024;
/// Bytes of one number of a vector in a reply.
const BYTES_PER_VALUE: usize = 4;

// === impl Dispatcher ===

impl Dispatcher {
    /// Batches run on `runtime`, whoever joins the queue.
    pub(crate) fn new(settings: QueueSettings, runtime: Handle, metrics: Arc<Metrics>) -> Arc<Dispatcher> {
        Arc::new(Dispatcher {
            settings,
            runtime,
            metrics,
            state: Mutex::default(),
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
        if let Some(error) = job::oversized(&inputs, self.max_batch_bytes()) {
            return Err(error);
        }
        let waiting = self.metrics.waiting(&self.settings.model, Task::Embed);
        let (job, answer) = Job::new(inputs, deadline, cancel, waiting);
        let mut state = self.state();
        if let Some(error) = &state.closed {
            return Err(error.clone());
        }
        for part in job.parts() {
            state.waiting.push(part);
        }
        self.pump(state);
        Ok(Ticket::new(Arc::clone(self), job, answer))
    }

    /// Takes what is left of a job out of the queue.
    pub(super) fn forget(&self, job: &Arc<Job>) {
        if !job.is_answered() {
            self.state().waiting.forget(job);
        }
    }

    /// Parts tried again: each goes alone, before all that wait.
    pub(super) fn retry(self: &Arc<Self>, parts: Vec<Part>) {
        let mut state = self.state();
        for part in parts {
            match &state.closed {
                Some(error) => part.job.fail(error.clone()),
                None => state.waiting.push(Part {
                    attempt: Attempt::Alone,
                    ..part
                }),
            }
        }
        self.pump(state);
    }

    /// An instance can take batches.
    pub(crate) fn open(self: &Arc<Self>, lane: Arc<Lane>) {
        let mut state = self.state();
        state.closed = None;
        state.lanes.push(Slot {
            lane,
            outstanding: 0,
            exclusive: false,
        });
        self.pump(state);
    }

    /// An instance takes no more; what is under way on it ends in its own time.
    pub(crate) fn close(&self, lane: &Arc<Lane>) {
        self.state().lanes.retain(|slot| !Arc::ptr_eq(&slot.lane, lane));
    }

    /// No instance will take anything: everything that waits, and everything that comes, fails with `error`.
    pub(crate) fn refuse(&self, error: Error) {
        let mut state = self.state();
        state.closed = Some(error.clone());
        let parts = state.waiting.drain();
        drop(state);
        for part in parts {
            part.job.fail(error.clone());
        }
    }

    /// An instance is on its way: what comes may wait for it.
    pub(crate) fn accept(&self) {
        self.state().closed = None;
    }

    /// From now on, how long a batch that isn't full is held for others.
    pub(crate) fn set_wait(&self, wait: Duration) {
        self.state().wait = wait;
    }

    /// A call on this lane has ended.
    pub(super) fn ended(self: &Arc<Self>, lane: &Arc<Lane>) {
        lane.call_ended();
        let mut state = self.state();
        if let Some(slot) = state.lanes.iter_mut().find(|slot| Arc::ptr_eq(&slot.lane, lane)) {
            slot.outstanding -= 1;
            slot.exclusive = false;
        }
        self.pump(state);
    }

    /// Sends whatever can be sent.
    fn pump(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let mut batches = Vec::new();
        while let Some((lane, batch)) = self.next(&mut state) {
            lane.call_started();
            batches.push((lane, batch));
        }
        drop(state);
        for (lane, batch) in batches {
            self.runtime.spawn(call::run(Arc::clone(self), lane, batch));
        }
    }

    /// The instance with the fewest calls under way, and a batch for it.
    fn next(self: &Arc<Self>, state: &mut State) -> Option<(Arc<Lane>, Batch)> {
        let State {
            waiting,
            wait,
            lanes,
            timer,
            ..
        } = state;
        let slot = lanes
            .iter_mut()
            .filter(|slot| !slot.exclusive && slot.outstanding < slot.lane.depth())
            .min_by_key(|slot| slot.outstanding)?;
        let demand = if slot.outstanding == 0 {
            Demand::Any
        } else {
            Demand::Full
        };
        match waiting.take(demand, &self.rule(&slot.lane, *wait), Instant::now()) {
            Taken::Batch(batch) => {
                slot.outstanding += 1;
                slot.exclusive = batch.alone;
                Some((Arc::clone(&slot.lane), batch))
            }
            Taken::Later(at) => {
                if timer.is_none_or(|set| at < set) {
                    *timer = Some(at);
                    self.runtime.spawn(pump_at(Arc::clone(self), at));
                }
                None
            }
            Taken::Nothing => None,
        }
    }

    fn max_batch_bytes(&self) -> usize {
        self.settings.max_message_bytes.saturating_sub(MESSAGE_OVERHEAD)
    }

    fn rule(&self, lane: &Lane, wait: Duration) -> BatchRule {
        let capabilities = lane.capabilities();
        let max_bytes = self.max_batch_bytes();
        let width = capabilities.embed.as_ref().map_or(1, |embed| embed.width as usize);
        // The reply is bounded by the same limit.
        let replies = max_bytes / (width * BYTES_PER_VALUE + job::ENVELOPE);
        let listed = self
            .settings
            .max_batch
            .unwrap_or(usize::MAX)
            .min(capabilities.max_batch as usize);
        BatchRule {
            max_items: listed.min(replies).max(1),
            max_bytes,
            wait,
            shared: capabilities.batching == Batching::Host,
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

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Pumps when a batch has been held for long enough.
async fn pump_at(dispatcher: Arc<Dispatcher>, at: Instant) {
    tokio::time::sleep_until(at.into()).await;
    let mut state = dispatcher.state();
    if state.timer == Some(at) {
        state.timer = None;
    }
    dispatcher.pump(state);
}
