//! One reply on its way from an instance to its request, and what an error means for it.

use std::sync::Arc;
use std::time::Instant;

use sensorium_contract::client::{CallError, ChatCall};
use sensorium_contract::{ChatEvent, ChatRefused, ChatStarted, Invalid};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::job::ChatJob;
use super::turns::{Attempt, Turn};
use crate::Error;
use crate::metrics::ReplyMeter;
use crate::queue::call::{self, Circumstances, Ended, Verdict};
use crate::queue::dispatcher::Dispatcher;
use crate::queue::job::Attempt as Sent;
use crate::queue::lane::Lane;
use crate::queue::lanes::Kind;

/// What a prompt comes to.
enum Opening {
    Started(Box<ChatCall>, ChatStarted),
    Refused(ChatRefused),
}

/// Why a reply is read no further.
enum Halt {
    /// The call failed.
    Failed(CallError),
    /// Nobody waits for it any more.
    Unwanted,
}

/// Sends one prompt and passes its reply on; a prompt that is to be tried again goes back to the queue.
pub(in crate::queue) async fn run(dispatcher: Arc<Dispatcher>, lane: Arc<Lane>, turn: Turn) {
    let mut ended = Ended {
        dispatcher: Arc::clone(&dispatcher),
        lane: Arc::clone(&lane),
        kind: Kind::Prompt,
        alone: turn.attempt == Attempt::Alone,
    };
    // Kept open until it is known how the reply has ended, so that its reader finds that out.
    let mut events = None;
    let begun = Instant::now();
    let mut meter = dispatcher.observe_chat_begin(&turn.job);
    let outcome = tokio::select! {
        // Dropping the call cancels it in the plugin.
        () = turn.job.gone() => Err(Halt::Unwanted),
        outcome = converse(&mut ended, &turn.job, &mut meter, &mut events) => outcome,
    };
    match outcome {
        Ok(()) => {
            lane.succeeded();
            dispatcher.observe_chat_call(begun.elapsed());
            turn.job.close();
        }
        Err(Halt::Unwanted) => turn.job.close(),
        Err(Halt::Failed(error)) => {
            call::tell(&dispatcher, &lane, &error);
            settle(&dispatcher, turn, &error);
        }
    }
}

/// The whole of a call: the prompt, and its reply to the end.
async fn converse(
    ended: &mut Ended,
    job: &ChatJob,
    meter: &mut ReplyMeter,
    events: &mut Option<mpsc::Sender<ChatEvent>>,
) -> Result<(), Halt> {
    let opening = open(&ended.lane, job).await?;
    ended.lane.call_answered();
    match opening {
        Opening::Refused(refused) => {
            job.fail(Error::Refused(refused));
            Ok(())
        }
        Opening::Started(call, started) => {
            ended.dispatcher.opened(&ended.lane, ended.alone);
            ended.kind = Kind::Reply;
            meter.started(started);
            let events = events.insert(job.open(started).ok_or(Halt::Unwanted)?);
            pass_on(call, &ended.lane, events, job.deadline(), meter).await
        }
    }
}

async fn open(lane: &Lane, job: &ChatJob) -> Result<Opening, Halt> {
    let request = job.request().ok_or(Halt::Unwanted)?;
    let mut call = lane.client().chat(request, Some(job.deadline())).await?;
    match call.next().await? {
        Some(ChatEvent::Started(started)) => Ok(Opening::Started(Box::new(call), started)),
        Some(ChatEvent::Refused(refused)) => Ok(Opening::Refused(refused)),
        Some(ChatEvent::Delta(_) | ChatEvent::ToolCall(_) | ChatEvent::Finished(_)) | None => Err(out_of_order()),
    }
}

/// Events from the instance to the request, until the last.
async fn pass_on(
    mut call: Box<ChatCall>,
    lane: &Lane,
    events: &mpsc::Sender<ChatEvent>,
    deadline: Instant,
    meter: &mut ReplyMeter,
) -> Result<(), Halt> {
    loop {
        let event = call.next().await?.ok_or_else(out_of_order)?;
        lane.call_answered();
        meter.see(&event);
        let last = matches!(event, ChatEvent::Finished(_));
        match events.try_send(event) {
            Ok(()) => {}
            Err(TrySendError::Closed(_)) => return Err(Halt::Unwanted),
            Err(TrySendError::Full(event)) => {
                let _stalled = lane.reader_waits();
                meter.pause();
                tokio::select! {
                    sent = events.send(event) => sent.map_err(|_| Halt::Unwanted)?,
                    () = tokio::time::sleep_until(deadline.into()) => return Err(CallError::Deadline.into()),
                }
            }
        }
        if last {
            return Ok(());
        }
    }
}

/// What the client has let through can't be in another order.
fn out_of_order() -> Halt {
    CallError::Breach(Invalid::new("event", "comes out of order")).into()
}

/// A prompt that nothing has come of is tried once more; alone, if it may have killed the process.
fn settle(dispatcher: &Arc<Dispatcher>, turn: Turn, error: &CallError) {
    let Turn { job, attempt, .. } = turn;
    let circumstances = Circumstances {
        model: &dispatcher.settings().model,
        attempt: match attempt {
            Attempt::First if !job.is_open() => Sent::First,
            Attempt::First | Attempt::Again | Attempt::Alone => Sent::Alone,
        },
        shared: false,
    };
    match call::verdict(error, circumstances) {
        Verdict::Fail(error) => job.fail(error),
        Verdict::Retry => {
            let attempt = match error {
                CallError::Transport(_) => Attempt::Alone,
                CallError::Plugin(_) | CallError::Deadline | CallError::Cancelled | CallError::Breach(_) => {
                    Attempt::Again
                }
            };
            dispatcher.retry_chat(Turn::new(job, attempt));
        }
    }
}

// === impl Halt ===

impl From<CallError> for Halt {
    fn from(error: CallError) -> Self {
        Halt::Failed(error)
    }
}
