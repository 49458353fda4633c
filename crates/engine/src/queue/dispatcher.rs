//! Pairs what waits with the instances that can take it.
//!
//! There is no task that pulls: whoever changes something — a request that joins the
//! queue, a call that ends, an instance that becomes ready — calls `pump` under the one
//! short lock, and each call that results becomes a task of its own. So a request on an
//! idle model is on its way without waiting for anybody to wake up.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sensorium_contract::{Batching, ChatRequest, EmbedInput, Task};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::chat::{ChatJob, ChatTicket, Turn, Turns};
use super::job::{Attempt, Job, Part};
use super::lane::Lane;
use super::lanes::{Kind, Lanes};
use super::ticket::Ticket;
use super::waiting::{Batch, BatchRule, Demand, Taken, Waiting};
use super::{call, chat, job};
use crate::metrics::ReplyMeter;
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
    turns: Turns,
    /// How long a batch that isn't full is held for others.
    wait: Duration,
    lanes: Lanes,
    /// Set while no instance will ever take anything: why.
    closed: Option<Error>,
    /// A timer that will pump is set for then.
    timer: Option<Instant>,
}

/// One call to an instance.
enum Work {
    Batch(Batch),
    Chat(Turn),
}

/// What becomes of something that must go alone.
enum Alone {
    /// It goes.
    Go(Arc<Lane>, Work),
    /// It waits until this instance is free.
    Wait(Arc<Lane>),
    /// There is no such thing, or no instance for it.
    Nothing,
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

    /// Puts a prompt into the queue.
    ///
    /// # Errors
    /// Why nothing is taken at present.
    pub(crate) fn submit_chat(
        self: &Arc<Self>,
        request: ChatRequest,
        deadline: Instant,
        cancel: &CancellationToken,
    ) -> Result<ChatTicket, Error> {
        let waiting = self.metrics.waiting(&self.settings.model, Task::Chat);
        let (job, opening) = ChatJob::new(request, deadline, cancel, waiting);
        let mut state = self.state();
        if let Some(error) = &state.closed {
            return Err(error.clone());
        }
        state.turns.push(Turn {
            job: Arc::clone(&job),
            attempt: chat::Attempt::First,
        });
        self.pump(state);
        Ok(ChatTicket::new(Arc::clone(self), job, opening))
    }

    /// Takes what is left of a job out of the queue.
    pub(super) fn forget(&self, job: &Arc<Job>) {
        if !job.is_answered() {
            self.state().waiting.forget(job);
        }
    }

    /// Takes a prompt out of the queue, if it is still there.
    pub(super) fn forget_chat(&self, job: &Arc<ChatJob>) {
        if job.is_waiting() {
            self.state().turns.forget(job);
            job.close();
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

    /// A prompt tried again: before all that wait.
    pub(super) fn retry_chat(self: &Arc<Self>, turn: Turn) {
        let mut state = self.state();
        match &state.closed {
            Some(error) => turn.job.fail(error.clone()),
            None => state.turns.push(turn),
        }
        self.pump(state);
    }

    /// An instance can take calls.
    pub(crate) fn open(self: &Arc<Self>, lane: Arc<Lane>) {
        let mut state = self.state();
        state.closed = None;
        state.lanes.add(lane);
        self.pump(state);
    }

    /// An instance takes no more; what is under way on it ends in its own time.
    pub(crate) fn close(&self, lane: &Arc<Lane>) {
        self.state().lanes.remove(lane);
    }

    /// No instance will take anything: everything that waits, and everything that comes, fails with `error`.
    pub(crate) fn refuse(&self, error: Error) {
        let mut state = self.state();
        state.closed = Some(error.clone());
        let (parts, turns) = (state.waiting.drain(), state.turns.drain());
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
        self.state().wait = wait;
    }

    /// A call on this lane has ended.
    pub(super) fn ended(self: &Arc<Self>, lane: &Arc<Lane>, kind: Kind) {
        lane.call_ended();
        let mut state = self.state();
        state.lanes.ended(lane, kind);
        self.pump(state);
    }

    /// A prompt that went alone has been read: it has done no harm, so others may join it.
    pub(super) fn share(self: &Arc<Self>, lane: &Arc<Lane>) {
        let mut state = self.state();
        state.lanes.share(lane);
        self.pump(state);
    }

    /// Sends whatever can be sent.
    fn pump(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let mut calls = Vec::new();
        while let Some((lane, work)) = self.next(&mut state) {
            lane.call_started();
            calls.push((lane, work));
        }
        drop(state);
        for (lane, work) in calls {
            let dispatcher = Arc::clone(self);
            match work {
                Work::Batch(batch) => self.runtime.spawn(call::run(dispatcher, lane, batch)),
                Work::Chat(turn) => self.runtime.spawn(chat::run(dispatcher, lane, turn)),
            };
        }
    }

    /// Something that waits, and the instance that takes it.
    fn next(self: &Arc<Self>, state: &mut State) -> Option<(Arc<Lane>, Work)> {
        let now = Instant::now();
        let reserved = match Self::next_alone(state, now) {
            Alone::Go(lane, work) => return Some((lane, work)),
            Alone::Wait(lane) => Some(lane),
            Alone::Nothing => None,
        };
        self.next_chat(state, reserved.as_ref(), now)
            .or_else(|| self.next_batch(state, reserved.as_ref(), now))
    }

    /// What may harm others goes to an instance with nothing else under way. If there is none, the least busy one is
    /// given nothing more until it is free.
    fn next_alone(state: &mut State, now: Instant) -> Alone {
        let (suspects, parts) = (state.turns.has_suspects(now), state.waiting.has_alone(now));
        if !suspects && !parts {
            return Alone::Nothing;
        }
        let Some(place) = state.lanes.least_busy() else {
            return Alone::Nothing;
        };
        let lane = Arc::clone(place.lane());
        if place.calls() > 0 {
            return Alone::Wait(lane);
        }
        let (work, kind) = match (state.waiting.pop_alone(), suspects) {
            (Some(batch), _) => (Work::Batch(batch), Kind::Batch),
            (None, true) => match state.turns.pop_suspect() {
                Some(turn) => (Work::Chat(turn), Kind::Reply),
                None => return Alone::Nothing,
            },
            (None, false) => return Alone::Nothing,
        };
        place.begin(kind, true);
        Alone::Go(lane, work)
    }

    fn next_chat(&self, state: &mut State, reserved: Option<&Arc<Lane>>, now: Instant) -> Option<(Arc<Lane>, Work)> {
        let limit = self.settings.max_batch.unwrap_or(usize::MAX);
        let place = state.lanes.for_chat(reserved, limit)?;
        let turn = state.turns.pop(now)?;
        place.begin(Kind::Reply, false);
        Some((Arc::clone(place.lane()), Work::Chat(turn)))
    }

    fn next_batch(
        self: &Arc<Self>,
        state: &mut State,
        reserved: Option<&Arc<Lane>>,
        now: Instant,
    ) -> Option<(Arc<Lane>, Work)> {
        let State {
            waiting,
            wait,
            lanes,
            timer,
            ..
        } = state;
        let place = lanes.for_batch(reserved)?;
        let demand = if place.embeds_nothing() {
            Demand::Any
        } else {
            Demand::Full
        };
        match waiting.take(demand, &self.rule(place.lane(), *wait), now) {
            Taken::Batch(batch) => {
                place.begin(Kind::Batch, false);
                Some((Arc::clone(place.lane()), Work::Batch(batch)))
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

    /// Counts a prompt as running, no longer as waiting; and what measures its reply.
    pub(super) fn observe_chat_begin(&self, job: &ChatJob) -> ReplyMeter {
        let model = &self.settings.model;
        if job.begin(|| self.metrics.running(model, Task::Chat)) {
            self.metrics.queued(model, Task::Chat, job.queued().elapsed());
        }
        self.metrics.reply(model, job.queued())
    }

    /// Counts a reply that came to its end.
    pub(super) fn observe_chat_call(&self, took: Duration) {
        self.metrics.call(&self.settings.model, Task::Chat, took);
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
