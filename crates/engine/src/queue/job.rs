//! One request's inputs on their way through the queue, and the way back to the request.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use sensorium_contract::{EmbedInput, EmbedPayload, Embedding, ItemError, ItemErrorCode, Modality};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::metrics::GaugeGuard;

/// What one request asks of the model. It may travel in several parts, in several batches.
#[derive(Debug)]
pub(crate) struct Job {
    inputs: Vec<EmbedInput>,
    deadline: Instant,
    queued: Instant,
    gone: CancellationToken,
    reply: Mutex<Reply>,
}

/// Some of a job's inputs, all of one modality, that wait or compute together.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) job: Arc<Job>,
    /// Indices into the job's inputs, ascending.
    pub(super) items: Vec<usize>,
    pub(super) modality: Modality,
    pub(super) attempt: Attempt,
}

/// What a request gets in the end.
pub(super) type Answer = oneshot::Receiver<Result<Vec<Embedding>, Error>>;

/// How often a part has been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    /// Not yet: it shares a batch with others.
    First,
    /// Once, and something went wrong: now it goes alone, so that it can harm nobody else.
    Alone,
}

#[derive(Debug)]
enum Reply {
    Open {
        results: Vec<Option<Embedding>>,
        missing: usize,
        sender: oneshot::Sender<Result<Vec<Embedding>, Error>>,
        /// Counts it among the waiting requests until it begins, then among the running ones until it is answered.
        counted: GaugeGuard,
        begun: bool,
    },
    Sent,
}

// === impl Job ===

impl Job {
    /// A job for `inputs` (at least one), due at `deadline`, that also ends with `cancel`; and its answer, when it comes.
    pub(super) fn new(
        inputs: Vec<EmbedInput>,
        deadline: Instant,
        cancel: &CancellationToken,
        waiting: GaugeGuard,
    ) -> (Arc<Job>, Answer) {
        let (sender, answer) = oneshot::channel();
        let missing = inputs.len();
        let results = (0..missing).map(|_| None).collect();
        let reply = Mutex::new(Reply::Open {
            results,
            missing,
            sender,
            counted: waiting,
            begun: false,
        });
        (
            Arc::new(Job {
                inputs,
                deadline,
                queued: Instant::now(),
                gone: cancel.child_token(),
                reply,
            }),
            answer,
        )
    }

    /// When its time is over.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// When it was made.
    pub(super) fn queued(&self) -> Instant {
        self.queued
    }

    /// True if nobody waits for it any more: not worth sending.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.gone.is_cancelled() || self.deadline <= now
    }

    /// Nobody waits for it any more.
    pub(super) fn call_off(&self) {
        self.gone.cancel();
    }

    /// A part of it is being sent. True if none has been before: it no longer counts as waiting, but as running, until
    /// it is answered.
    pub(super) fn begin(&self, running: impl FnOnce() -> GaugeGuard) -> bool {
        match &mut *self.reply() {
            Reply::Open { counted, begun, .. } if !*begun => {
                *counted = running();
                *begun = true;
                true
            }
            Reply::Open { .. } | Reply::Sent => false,
        }
    }

    /// Resolves when nobody waits for it any more.
    pub(super) async fn gone(&self) {
        self.gone.cancelled().await;
    }

    /// One input, cheaply cloned: pixels are shared.
    pub(super) fn input(&self, item: usize) -> EmbedInput {
        self.inputs[item].clone()
    }

    /// Bytes that one input takes in a message, rounded up.
    pub(super) fn bytes(&self, item: usize) -> usize {
        encoded_bytes(&self.inputs[item])
    }

    /// Its inputs as at most one part for each modality.
    pub(super) fn parts(self: &Arc<Self>) -> Vec<Part> {
        let (texts, images): (Vec<usize>, Vec<usize>) =
            (0..self.inputs.len()).partition(|&item| modality(&self.inputs[item]) == Modality::Text);
        [(texts, Modality::Text), (images, Modality::Image)]
            .into_iter()
            .filter(|(items, _)| !items.is_empty())
            .map(|(items, modality)| Part {
                job: Arc::clone(self),
                items,
                modality,
                attempt: Attempt::First,
            })
            .collect()
    }

    /// Takes the results of some of its inputs, and answers the request if they were the last or one of them is bad.
    pub(super) fn complete(&self, items: &[usize], new: impl Iterator<Item = Result<Embedding, ItemError>>) {
        let mut reply = self.reply();
        let Reply::Open { results, missing, .. } = &mut *reply else {
            return;
        };
        let mut bad = None;
        for (&index, result) in items.iter().zip(new) {
            match result {
                Ok(embedding) => {
                    *missing -= usize::from(results[index].is_none());
                    results[index] = Some(embedding);
                }
                Err(error) => {
                    bad = Some(Error::Item { index, error });
                    break;
                }
            }
        }
        let outcome = match bad {
            Some(error) => Err(error),
            None if *missing == 0 => Ok(results.drain(..).flatten().collect()),
            None => return,
        };
        reply.send(outcome);
    }

    /// Answers the request with an error, unless it has been answered.
    pub(super) fn fail(&self, error: Error) {
        self.reply().send(Err(error));
    }

    /// True once the request has been answered: its other parts need not be computed.
    pub(super) fn is_answered(&self) -> bool {
        matches!(*self.reply(), Reply::Sent)
    }

    fn reply(&self) -> MutexGuard<'_, Reply> {
        self.reply.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Part ===

impl Part {
    /// Cuts it in two: the first `count` items stay, the others are returned.
    pub(super) fn split_off(&mut self, count: usize) -> Part {
        let rest = self.items.split_off(count);
        Part {
            job: Arc::clone(&self.job),
            items: rest,
            modality: self.modality,
            attempt: self.attempt,
        }
    }

    /// True if nobody waits for it any more.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.job.is_over(now) || self.job.is_answered()
    }
}

// === impl Reply ===

impl Reply {
    fn send(&mut self, outcome: Result<Vec<Embedding>, Error>) {
        if let Reply::Open { sender, counted, .. } = std::mem::replace(self, Reply::Sent) {
            // First, so that whoever has the answer no longer sees the request counted.
            drop(counted);
            // The request may have gone away meanwhile.
            let _ = sender.send(outcome);
        }
    }
}

fn modality(input: &EmbedInput) -> Modality {
    match input.payload {
        EmbedPayload::Text(_) | EmbedPayload::TokenIds(_) => Modality::Text,
        EmbedPayload::Image(_) => Modality::Image,
    }
}

/// Tags, lengths and flags of one input or result: a few bytes, rounded up.
pub(super) const ENVELOPE: usize = 64;
/// Longest varint of a 32-bit number.
const VARINT: usize = 5;

/// The error of the first input that is larger than any message, if there is one.
pub(super) fn oversized(inputs: &[EmbedInput], limit: usize) -> Option<Error> {
    let index = inputs.iter().position(|input| encoded_bytes(input) > limit)?;
    let message = format!("the input is larger than the {limit} bytes that fit in one message to the model");
    Some(Error::Item {
        index,
        error: ItemError {
            code: ItemErrorCode::InvalidInput,
            message,
        },
    })
}

/// Bytes that an input takes in a message, rounded up.
fn encoded_bytes(input: &EmbedInput) -> usize {
    ENVELOPE
        + match &input.payload {
            EmbedPayload::Text(text) => text.len(),
            EmbedPayload::Image(image) => image.as_bytes().len(),
            EmbedPayload::TokenIds(ids) => ids.len() * VARINT,
        }
}
