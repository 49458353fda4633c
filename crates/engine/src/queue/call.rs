//! One batch on its way to an instance and back, and what an error means for its members.

use std::sync::Arc;
use std::time::Instant;

use sensorium_contract::client::CallError;
use sensorium_contract::{Embedding, Fault, ItemError};

use super::dispatcher::{Dispatcher, QueueSettings};
use super::job::{Attempt, Part};
use super::lane::Lane;
use super::lanes::Kind;
use super::waiting::Batch;
use crate::Error;

/// What becomes of something whose call failed.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// It is sent once more, alone.
    Retry,
    /// Its request is answered with this.
    Fail(Error),
}

/// What a verdict depends on beside the error.
#[derive(Debug, Clone, Copy)]
pub(super) struct Circumstances<'a> {
    pub(super) model: &'a str,
    pub(super) attempt: Attempt,
    /// Other requests were in the same call.
    pub(super) shared: bool,
}

/// Tells the dispatcher that the call has ended, however it ends.
pub(super) struct Ended {
    pub(super) dispatcher: Arc<Dispatcher>,
    pub(super) lane: Arc<Lane>,
    pub(super) kind: Kind,
    /// It had to go alone.
    pub(super) alone: bool,
}

/// Sends one batch and answers its members; those that are to be tried again go back to the queue.
pub(super) async fn run(dispatcher: Arc<Dispatcher>, lane: Arc<Lane>, batch: Batch) {
    let parts = batch.parts;
    let ended = Ended {
        dispatcher,
        lane,
        kind: Kind::Batch,
        alone: parts.iter().any(|part| part.attempt == Attempt::Alone),
    };
    let Ended { dispatcher, lane, .. } = &ended;
    let inputs = parts
        .iter()
        .flat_map(|part| part.items.iter().map(|&item| part.job.input(item)))
        .collect();
    let deadline = parts.iter().map(|part| part.job.deadline()).max();
    let width = lane.capabilities().embed.as_ref().map_or(0, |embed| embed.width);
    let items = parts.iter().map(|part| part.items.len()).sum();
    dispatcher.observe_begin(&parts);
    let started = Instant::now();
    let outcome = tokio::select! {
        outcome = lane.client().embed(inputs, width, deadline) => outcome,
        // Dropping the call cancels it in the plugin.
        () = all_gone(&parts) => return,
    };
    lane.call_answered();
    dispatcher.observe_call(items, started.elapsed());
    match outcome {
        Ok(results) => {
            lane.succeeded();
            hand_out(&parts, results);
        }
        Err(error) => {
            tell(dispatcher, lane, &error);
            settle(dispatcher, parts, &error);
        }
    }
}

async fn all_gone(parts: &[Part]) {
    for part in parts {
        part.job.gone().await;
    }
}

fn hand_out(parts: &[Part], results: Vec<Result<Embedding, ItemError>>) {
    let mut results = results.into_iter();
    for part in parts {
        let own: Vec<_> = results.by_ref().take(part.items.len()).collect();
        part.job.complete(&part.items, own.into_iter());
    }
}

/// Lets the instance's supervisor know, and keeps further batches away from an instance that is lost.
pub(super) fn tell(dispatcher: &Arc<Dispatcher>, lane: &Arc<Lane>, error: &CallError) {
    let QueueSettings { model, plugin, .. } = dispatcher.settings();
    tracing::warn!(%model, %plugin, %error, "a call to the model failed");
    match (error, error.fault()) {
        (CallError::Transport(message), _) => {
            dispatcher.close(lane);
            lane.disconnected(message);
        }
        (_, Some(Fault::Instance)) => {
            if lane.faulted(&error.to_string()) {
                dispatcher.close(lane);
            }
        }
        (_, Some(Fault::Caller | Fault::Model) | None) => {}
    }
}

fn settle(dispatcher: &Arc<Dispatcher>, parts: Vec<Part>, error: &CallError) {
    let model = &dispatcher.settings().model;
    let shared = parts.len() > 1;
    let mut again = Vec::new();
    for part in parts {
        match verdict(
            error,
            Circumstances {
                model,
                attempt: part.attempt,
                shared,
            },
        ) {
            Verdict::Retry => again.push(part),
            Verdict::Fail(error) => part.job.fail(error),
        }
    }
    if !again.is_empty() {
        dispatcher.retry(again);
    }
}

/// What was sent is tried once more, alone, if the instance failed, or if the failure may be another member's.
pub(super) fn verdict(error: &CallError, circumstances: Circumstances<'_>) -> Verdict {
    let Circumstances { model, attempt, shared } = circumstances;
    let crashed = match attempt {
        Attempt::First => Verdict::Retry,
        Attempt::Alone => Verdict::Fail(Error::Crashed {
            model: model.to_owned(),
        }),
    };
    match error {
        CallError::Transport(_) | CallError::Breach(_) | CallError::Cancelled => crashed,
        // The call had as long as the most patient of its members.
        CallError::Deadline => Verdict::Fail(Error::Deadline),
        CallError::Plugin(error) => match error.fault {
            Fault::Instance => crashed,
            Fault::Caller | Fault::Model if shared => Verdict::Retry,
            Fault::Caller => Verdict::Fail(Error::Caller {
                message: error.message.clone(),
            }),
            // What the plugin says of its model may name files: it is in the log.
            Fault::Model => Verdict::Fail(Error::Model {
                message: format!("the model `{model}` failed at this request; the server's log says why"),
            }),
        },
    }
}

// === impl Ended ===

impl Drop for Ended {
    fn drop(&mut self) {
        self.dispatcher.ended(&self.lane, self.kind, self.alone);
    }
}

#[cfg(test)]
mod tests {
    use sensorium_contract::{Invalid, PluginError};

    use super::*;

    #[test]
    fn an_error_means_what_it_says_to_each_member() {
        let crashed = || Verdict::Fail(Error::Crashed { model: "m".to_owned() });
        let (first, alone) = (Attempt::First, Attempt::Alone);
        let transport = CallError::Transport("broken pipe".to_owned());
        let breach = CallError::Breach(Invalid::new("values", "are not finite"));
        let instance = CallError::Plugin(PluginError::instance("sticky"));
        let caller = CallError::Plugin(PluginError::caller("bad"));
        let bad = || {
            Verdict::Fail(Error::Caller {
                message: "bad".to_owned(),
            })
        };
        let rows = [
            (&transport, first, true, Verdict::Retry),
            (&transport, first, false, Verdict::Retry),
            (&transport, alone, false, crashed()),
            (&breach, first, true, Verdict::Retry),
            (&breach, alone, false, crashed()),
            (&instance, first, false, Verdict::Retry),
            (&instance, alone, false, crashed()),
            (&CallError::Cancelled, first, true, Verdict::Retry),
            (&CallError::Deadline, first, true, Verdict::Fail(Error::Deadline)),
            (&caller, first, true, Verdict::Retry),
            (&caller, first, false, bad()),
            (&caller, alone, false, bad()),
        ];
        for (error, attempt, shared, expected) in rows {
            let got = verdict(
                error,
                Circumstances {
                    model: "m",
                    attempt,
                    shared,
                },
            );
            assert_eq!(got, expected, "{error} ({attempt:?}, shared: {shared})");
        }
    }

    #[test]
    fn what_a_plugin_says_of_its_model_stays_in_the_log() {
        let error = CallError::Plugin(PluginError::model("can't read /home/somebody/weights"));
        let circumstances = Circumstances {
            model: "m",
            attempt: Attempt::First,
            shared: false,
        };
        let Verdict::Fail(Error::Model { message }) = verdict(&error, circumstances) else {
            panic!("no verdict")
        };
        assert!(!message.contains('/'), "{message}");
    }
}
