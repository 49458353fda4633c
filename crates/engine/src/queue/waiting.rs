//! What waits for one model, and the rule by which it becomes a batch.
//!
//! Texts and images wait in lines of their own, because a batch of one kind computes
//! better than a mixed one; the line whose head is oldest goes first, and within a line
//! parts keep their order. Parts that are tried again go before all others, each alone.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sensorium_contract::Modality;

use super::job::{Attempt, Job, Part};

/// What waits for one model.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    alone: VecDeque<Part>,
    texts: Line,
    images: Line,
}

/// How large a batch may be, and how long it is gathered.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchRule {
    /// Most items; at least 1.
    pub(super) max_items: usize,
    /// Most bytes of a message.
    pub(super) max_bytes: usize,
    /// How long the first item of a batch that isn't full waits for others.
    pub(super) wait: Duration,
    /// Whether requests share a batch; no, if the plugin gathers them itself.
    pub(super) shared: bool,
}

/// What an instance can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Demand {
    /// It is idle: whatever waits.
    Any,
    /// It computes: a full batch, to be prepared meanwhile. A smaller one would better wait here and grow.
    Full,
}

/// What [`Waiting::take`] found.
#[derive(Debug)]
pub(super) enum Taken {
    /// Something to send.
    Batch(Batch),
    /// Something that may still grow until then.
    Later(Instant),
    /// Nothing that meets the demand.
    Nothing,
}

/// Parts that are sent in one call.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) parts: Vec<Part>,
    /// Tried again: no other call may be under way on the instance.
    pub(super) alone: bool,
}

#[derive(Debug, Default)]
struct Line {
    parts: VecDeque<Part>,
    items: usize,
    bytes: usize,
}

// === impl Waiting ===

impl Waiting {
    /// Puts a part at the end of its line.
    pub(super) fn push(&mut self, part: Part) {
        match (part.attempt, part.modality) {
            (Attempt::Alone, _) => self.alone.push_back(part),
            (Attempt::First, Modality::Text) => self.texts.push_back(part),
            (Attempt::First, Modality::Image) => self.images.push_back(part),
        }
    }

    /// The next batch for an instance, if there is one.
    pub(super) fn take(&mut self, demand: Demand, rule: &BatchRule, now: Instant) -> Taken {
        self.alone.retain(|part| !part.is_over(now));
        match (demand, self.alone.is_empty()) {
            // Nothing more is sent until the instance is idle, or those that go alone would never have their turn.
            (Demand::Full, false) => return Taken::Nothing,
            (Demand::Any, false) => {
                let parts = self.alone.pop_front().into_iter().collect();
                return Taken::Batch(Batch { parts, alone: true });
            }
            (_, true) => {}
        }
        let mut later: Option<Instant> = None;
        for line in self.oldest_first() {
            match line.take(demand, rule, now) {
                Taken::Batch(batch) => return Taken::Batch(batch),
                Taken::Later(at) => later = Some(later.map_or(at, |other| other.min(at))),
                Taken::Nothing => {}
            }
        }
        later.map_or(Taken::Nothing, Taken::Later)
    }

    /// Takes out all parts of a job.
    pub(super) fn forget(&mut self, job: &Arc<Job>) {
        self.alone.retain(|part| !Arc::ptr_eq(&part.job, job));
        self.texts.retain(|part| !Arc::ptr_eq(&part.job, job));
        self.images.retain(|part| !Arc::ptr_eq(&part.job, job));
    }

    /// Takes out everything.
    pub(super) fn drain(&mut self) -> Vec<Part> {
        let Waiting { alone, texts, images } = std::mem::take(self);
        alone.into_iter().chain(texts.parts).chain(images.parts).collect()
    }

    /// Parts that wait.
    pub(super) fn len(&self) -> usize {
        self.alone.len() + self.texts.parts.len() + self.images.parts.len()
    }

    fn oldest_first(&mut self) -> [&mut Line; 2] {
        let head = |line: &Line| line.parts.front().map(|part| part.job.queued());
        match (head(&self.texts), head(&self.images)) {
            (Some(text), Some(image)) if image < text => [&mut self.images, &mut self.texts],
            _ => [&mut self.texts, &mut self.images],
        }
    }
}

// === impl Line ===

impl Line {
    fn push_back(&mut self, part: Part) {
        self.items += part.items.len();
        self.bytes += part_bytes(&part);
        self.parts.push_back(part);
    }

    fn pop_front(&mut self) -> Option<Part> {
        let part = self.parts.pop_front()?;
        self.items -= part.items.len();
        self.bytes -= part_bytes(&part);
        Some(part)
    }

    fn push_front(&mut self, part: Part) {
        self.items += part.items.len();
        self.bytes += part_bytes(&part);
        self.parts.push_front(part);
    }

    fn retain(&mut self, keep: impl Fn(&Part) -> bool) {
        self.parts.retain(keep);
        self.items = self.parts.iter().map(|part| part.items.len()).sum();
        self.bytes = self.parts.iter().map(part_bytes).sum();
    }

    fn is_full(&self, rule: &BatchRule) -> bool {
        self.items >= rule.max_items || self.bytes >= rule.max_bytes || !rule.shared
    }

    fn take(&mut self, demand: Demand, rule: &BatchRule, now: Instant) -> Taken {
        if self.parts.iter().any(|part| part.is_over(now)) {
            self.retain(|part| !part.is_over(now));
        }
        let Some(head) = self.parts.front() else { return Taken::Nothing };
        if !self.is_full(rule) {
            let due = head.job.queued() + rule.wait;
            if demand == Demand::Full {
                return Taken::Nothing;
            }
            if due > now {
                return Taken::Later(due);
            }
        }
        Taken::Batch(Batch { parts: self.gather(rule), alone: false })
    }

    /// As many parts from the front as a batch holds; the last is cut where the batch is full.
    fn gather(&mut self, rule: &BatchRule) -> Vec<Part> {
        let mut parts = Vec::new();
        let (mut items, mut bytes) = (0, 0);
        while let Some(mut part) = self.pop_front() {
            let (mut fitting, mut size) = (0, 0);
            for &item in part.items.iter().take(rule.max_items - items) {
                let more = part.job.bytes(item);
                // Something is always taken, or an item as large as the limit would block the line for good.
                let first = items == 0 && fitting == 0;
                if !first && bytes + size + more > rule.max_bytes {
                    break;
                }
                (fitting, size) = (fitting + 1, size + more);
            }
            (items, bytes) = (items + fitting, bytes + size);
            let cut = fitting < part.items.len();
            if cut {
                let rest = part.split_off(fitting);
                self.push_front(rest);
            }
            if fitting > 0 {
                parts.push(part);
            }
            if cut || items == rule.max_items || !rule.shared {
                break;
            }
        }
        parts
    }
}

fn part_bytes(part: &Part) -> usize {
    part.items.iter().map(|&item| part.job.bytes(item)).sum()
}
