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
    /// With since when each waits.
    alone: VecDeque<(Instant, Part)>,
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
    /// It embeds nothing at present: whatever waits.
    Any,
    /// It does: a full batch, to be prepared meanwhile. A smaller one would better wait here and grow.
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
            (Attempt::Alone, _) => self.alone.push_back((Instant::now(), part)),
            (Attempt::First, Modality::Text) => self.texts.push_back(part),
            (Attempt::First, Modality::Image) => self.images.push_back(part),
        }
    }

    /// Since when a part waits that must go alone, if one does.
    pub(super) fn alone_since(&mut self, now: Instant) -> Option<Instant> {
        self.alone.retain(|(_, part)| !part.is_over(now));
        self.alone.front().map(|(since, _)| *since)
    }

    /// The next part that must go alone, as a batch.
    pub(super) fn pop_alone(&mut self) -> Option<Batch> {
        let (_, part) = self.alone.pop_front()?;
        Some(Batch { parts: vec![part] })
    }

    /// The next batch of parts that need not go alone.
    pub(super) fn take(&mut self, demand: Demand, rule: &BatchRule, now: Instant) -> Taken {
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
        self.alone.retain(|(_, part)| !Arc::ptr_eq(&part.job, job));
        self.texts.retain(|part| !Arc::ptr_eq(&part.job, job));
        self.images.retain(|part| !Arc::ptr_eq(&part.job, job));
    }

    /// Takes out everything.
    pub(super) fn drain(&mut self) -> Vec<Part> {
        let Waiting { alone, texts, images } = std::mem::take(self);
        let alone = alone.into_iter().map(|(_, part)| part);
        alone.chain(texts.parts).chain(images.parts).collect()
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
        // Every request that joins a busy model comes here: first what costs nothing.
        if demand == Demand::Full && !self.is_full(rule) {
            return Taken::Nothing;
        }
        if self.parts.iter().any(|part| part.is_over(now)) {
            self.retain(|part| !part.is_over(now));
        }
        let Some(head) = self.parts.front() else {
            return Taken::Nothing;
        };
        if !self.is_full(rule) {
            let due = head.job.queued() + rule.wait;
            if demand == Demand::Full {
                return Taken::Nothing;
            }
            if due > now {
                return Taken::Later(due);
            }
        }
        Taken::Batch(Batch {
            parts: self.gather(rule),
        })
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

#[cfg(test)]
mod tests {
    use sensorium_contract::{EmbedInput, RgbImage};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::Metrics;

    const RULE: BatchRule = BatchRule {
        max_items: 4,
        max_bytes: 1 << 20,
        wait: Duration::ZERO,
        shared: true,
    };

    /// A batch as the items of each of its parts.
    type Parts = Vec<Vec<usize>>;

    fn job(texts: usize, images: usize) -> Arc<Job> {
        let pixel = RgbImage::new(1, 1, vec![0; 3]).unwrap();
        let texts = (0..texts).map(|n| EmbedInput::text(n.to_string(), true));
        let images = (0..images).map(|_| EmbedInput::image(pixel.clone()));
        let waiting = Metrics::new()
            .unwrap()
            .waiting("model", sensorium_contract::Task::Embed);
        let deadline = Instant::now() + Duration::from_secs(3600);
        Job::new(
            texts.chain(images).collect(),
            deadline,
            &CancellationToken::new(),
            waiting,
        )
        .0
    }

    fn waiting(jobs: &[&Arc<Job>]) -> Waiting {
        let mut waiting = Waiting::default();
        for part in jobs.iter().flat_map(|job| job.parts()) {
            waiting.push(part);
        }
        waiting
    }

    /// Takes batches until nothing is left, as the items of each part.
    fn batches(waiting: &mut Waiting, rule: &BatchRule) -> Vec<Parts> {
        let mut batches = Vec::new();
        while let Taken::Batch(batch) = waiting.take(Demand::Any, rule, Instant::now()) {
            batches.push(batch.parts.into_iter().map(|part| part.items).collect());
        }
        batches
    }

    #[test]
    fn parts_share_batches_in_order_and_are_cut_where_one_is_full() {
        let rows: [(&[usize], usize, Vec<Parts>); 4] = [
            (&[1, 1, 1], 4, vec![vec![vec![0], vec![0], vec![0]]]),
            (&[3, 3], 4, vec![vec![vec![0, 1, 2], vec![0]], vec![vec![1, 2]]]),
            (&[6], 4, vec![vec![vec![0, 1, 2, 3]], vec![vec![4, 5]]]),
            (
                &[2, 2],
                1,
                vec![vec![vec![0]], vec![vec![1]], vec![vec![0]], vec![vec![1]]],
            ),
        ];
        for (sizes, max_items, expected) in rows {
            let jobs: Vec<_> = sizes.iter().map(|&size| job(size, 0)).collect();
            let mut waiting = waiting(&jobs.iter().collect::<Vec<_>>());
            assert_eq!(
                batches(&mut waiting, &BatchRule { max_items, ..RULE }),
                expected,
                "{sizes:?} by {max_items}"
            );
        }
    }

    #[test]
    fn a_batch_is_bounded_in_bytes_but_never_empty() {
        let jobs = [job(3, 0)];
        let bytes = jobs[0].bytes(0);
        for (max_bytes, expected) in [(2 * bytes, vec![2, 1]), (1, vec![1, 1, 1])] {
            let mut waiting = waiting(&[&jobs[0]]);
            let sizes: Vec<usize> = batches(&mut waiting, &BatchRule { max_bytes, ..RULE })
                .iter()
                .map(|batch| batch[0].len())
                .collect();
            assert_eq!(sizes, expected, "{max_bytes} bytes");
        }
    }

    #[test]
    fn texts_and_images_go_apart_the_oldest_first() {
        let (images, mixed) = (job(0, 1), job(1, 1));
        let mut waiting = waiting(&[&images, &mixed]);
        let kinds: Vec<Modality> = std::iter::from_fn(|| match waiting.take(Demand::Any, &RULE, Instant::now()) {
            Taken::Batch(batch) => Some(batch.parts[0].modality),
            Taken::Later(_) | Taken::Nothing => None,
        })
        .collect();
        assert_eq!(kinds, [Modality::Image, Modality::Text], "both images share a batch");
    }

    #[test]
    fn a_busy_instance_is_given_full_batches_only() {
        let (first, second) = (job(3, 0), job(1, 0));
        let mut waiting = waiting(&[&first]);
        assert!(matches!(
            waiting.take(Demand::Full, &RULE, Instant::now()),
            Taken::Nothing
        ));
        waiting.push(second.parts().remove(0));
        assert!(matches!(
            waiting.take(Demand::Full, &RULE, Instant::now()),
            Taken::Batch(_)
        ));
    }

    #[test]
    fn a_batch_that_is_not_full_is_held_until_it_is_due() {
        let job = job(1, 0);
        let rule = BatchRule {
            wait: Duration::from_secs(1),
            ..RULE
        };
        let mut waiting = waiting(&[&job]);
        let due = job.queued() + rule.wait;
        match waiting.take(Demand::Any, &rule, job.queued()) {
            Taken::Later(at) => assert_eq!(at, due),
            other => panic!("{other:?}"),
        }
        assert!(matches!(waiting.take(Demand::Any, &rule, due), Taken::Batch(_)));
    }

    #[test]
    fn requests_go_apart_where_the_plugin_gathers_them_itself() {
        let (first, second) = (job(5, 0), job(1, 0));
        let mut waiting = waiting(&[&first, &second]);
        let rule = BatchRule { shared: false, ..RULE };
        assert!(
            matches!(waiting.take(Demand::Full, &rule, Instant::now()), Taken::Batch(_)),
            "also to a busy one"
        );
        assert_eq!(batches(&mut waiting, &rule), [[[4]], [[0]]]);
    }

    #[test]
    fn what_is_tried_again_goes_alone_and_by_itself() {
        let (fresh, failed, gone) = (job(4, 0), job(1, 0), job(1, 0));
        let mut waiting = waiting(&[&fresh]);
        assert!(waiting.alone_since(Instant::now()).is_none());
        for part in [&gone, &failed].iter().flat_map(|job| job.parts()) {
            waiting.push(Part {
                attempt: Attempt::Alone,
                ..part
            });
        }
        gone.call_off();
        assert!(waiting.alone_since(Instant::now()).is_some());
        assert_eq!(batches(&mut waiting, &RULE), [[[0, 1, 2, 3]]], "it is in no batch");
        let batch = waiting.pop_alone().unwrap();
        assert!(batch.parts.len() == 1 && Arc::ptr_eq(&batch.parts[0].job, &failed));
        assert!(waiting.pop_alone().is_none());
    }

    #[test]
    fn what_nobody_waits_for_falls_out() {
        let (gone, answered, late, kept) = (job(1, 0), job(1, 0), job(1, 0), job(1, 0));
        gone.call_off();
        answered.fail(crate::Error::Draining);
        let mut waiting = waiting(&[&gone, &answered, &late, &kept]);
        waiting.forget(&late);
        assert_eq!(batches(&mut waiting, &RULE), [[[0]]]);
    }
}
