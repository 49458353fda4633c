//! What waits, the instances that can take it, and the rule by which the two are paired.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sensorium_contract::Batching;

use super::job;
use super::lane::Lane;
use super::lanes::{Kind, Lanes};
use super::streamed::{Turn, Turns};
use super::waiting::{Batch, BatchRule, Demand, Taken, Waiting};

/// What waits for one model, and the instances that can take it.
pub(super) struct Pairing {
    limits: Limits,
    pub(super) waiting: Waiting,
    pub(super) turns: Turns,
    pub(super) lanes: Lanes,
    /// How long a batch that isn't full is held for others.
    pub(super) wait: Duration,
}

/// Bounds of one call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Most items in a batch, and most prompts under way on one instance, if the registry bounds them.
    pub(super) max_batch: usize,
    /// Most bytes of all items of a batch.
    pub(super) max_bytes: usize,
}

/// One call to an instance.
pub(super) enum Work {
    Batch(Batch),
    Stream(Turn),
}

/// What is to be done next.
pub(super) enum Next {
    /// This goes to this instance.
    Go(Arc<Lane>, Work),
    /// Nothing before then, unless something changes.
    Later(Instant),
    /// Nothing, unless something changes.
    Nothing,
}

/// What becomes of something that must go alone.
enum Alone {
    /// It goes.
    Go(Arc<Lane>, Work),
    /// It waits until this instance is free, or until then.
    Wait(Arc<Lane>, Instant),
    /// There is no such thing, or no instance for it.
    Nothing,
}

/// How long what must go alone waits for an instance with nothing else under way.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of one number of a vector in a reply.
const BYTES_PER_VALUE: usize = 4;

// === impl Pairing ===

impl Pairing {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            waiting: Waiting::default(),
            turns: Turns::default(),
            lanes: Lanes::default(),
            wait: Duration::ZERO,
        }
    }

    /// Something that waits, and the instance that takes it.
    pub(super) fn next(&mut self, now: Instant) -> Next {
        let (reserved, later) = match self.next_alone(now) {
            Alone::Go(lane, work) => return Next::Go(lane, work),
            Alone::Wait(lane, until) => (Some(lane), Some(until)),
            Alone::Nothing => (None, None),
        };
        if let Some((lane, turn)) = self.next_stream(reserved.as_ref(), now) {
            return Next::Go(lane, Work::Stream(turn));
        }
        match (self.next_batch(reserved.as_ref(), now), later) {
            (Next::Later(one), Some(other)) => Next::Later(one.min(other)),
            (Next::Nothing, Some(later)) => Next::Later(later),
            (next, _) => next,
        }
    }

    /// What may harm others goes to an instance with nothing else under way. If there is none, the least busy one is
    /// given nothing more until it is free, or until patience is lost: replies take long, and those that have begun
    /// then run a risk.
    fn next_alone(&mut self, now: Instant) -> Alone {
        let (part, turn) = (self.waiting.alone_since(now), self.turns.suspect_since(now));
        let Some(since) = part.or(turn) else {
            return Alone::Nothing;
        };
        let Some(place) = self.lanes.least_busy() else {
            return Alone::Nothing;
        };
        let lane = Arc::clone(place.lane());
        let until = since + PATIENCE;
        let room = part.is_some() || place.has_room(self.limits.max_batch);
        if place.calls() > 0 && !(now >= until && place.reads_nothing() && room) {
            return Alone::Wait(lane, until.max(now + PATIENCE / 10));
        }
        let batch = self.waiting.pop_alone().map(|batch| (Kind::Batch, Work::Batch(batch)));
        let next = batch.or_else(|| Some((Kind::Prompt, Work::Stream(self.turns.pop_suspect()?))));
        let Some((kind, work)) = next else {
            return Alone::Nothing;
        };
        place.begin(kind, true);
        Alone::Go(lane, work)
    }

    fn next_stream(&mut self, reserved: Option<&Arc<Lane>>, now: Instant) -> Option<(Arc<Lane>, Turn)> {
        let place = self.lanes.for_stream(reserved, self.limits.max_batch)?;
        let turn = self.turns.pop(now)?;
        place.begin(Kind::Prompt, false);
        Some((Arc::clone(place.lane()), turn))
    }

    fn next_batch(&mut self, reserved: Option<&Arc<Lane>>, now: Instant) -> Next {
        let Some(place) = self.lanes.for_batch(reserved) else {
            return Next::Nothing;
        };
        let demand = if place.embeds_nothing() {
            Demand::Any
        } else {
            Demand::Full
        };
        let rule = self.limits.rule(place.lane(), self.wait);
        match self.waiting.take(demand, &rule, now) {
            Taken::Batch(batch) => {
                place.begin(Kind::Batch, false);
                Next::Go(Arc::clone(place.lane()), Work::Batch(batch))
            }
            Taken::Later(at) => Next::Later(at),
            Taken::Nothing => Next::Nothing,
        }
    }
}

// === impl Limits ===

impl Limits {
    fn rule(&self, lane: &Lane, wait: Duration) -> BatchRule {
        let capabilities = lane.capabilities();
        let width = capabilities.embed.as_ref().map_or(1, |embed| embed.width as usize);
        // The reply is bounded by the same limit.
        let replies = self.max_bytes / (width * BYTES_PER_VALUE + job::ENVELOPE);
        BatchRule {
            max_items: self.max_batch.min(capabilities.max_batch as usize).min(replies).max(1),
            max_bytes: self.max_bytes,
            wait,
            shared: capabilities.batching == Batching::Host,
        }
    }
}
