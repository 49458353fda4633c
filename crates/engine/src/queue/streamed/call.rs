//! One reply on its way from an instance to its request, and what an error means for it.

use std::sync::Arc;
use std::time::Instant;

use sensorium_contract::client::{CallError, ReplyCall};
use sensorium_contract::{Invalid, Moment, Refused};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::job::{QueuedJob as _, StreamJob};
use super::task::Streamed;
use super::turns::{Attempt, Turn};
use crate::Error;
use crate::metrics::Meter as _;
use crate::queue::call::{self, Circumstances, Ended, Verdict};
use crate::queue::dispatcher::Dispatcher;
use crate::queue::job::Attempt as Sent;
use crate::queue::lane::Lane;
use crate::queue::lanes::Kind;

/// What a prompt comes to.
enum Opening<E: Streamed> {
    Started(Box<ReplyCall<E>>, E::Started),
    Refused(Refused),
}

/// Why a reply is read no further.
enum Halt {
    /// The call failed.
    Failed(CallError),
    /// Nobody waits for it any more.
    Unwanted,
}

/// Sends one prompt and passes its reply on; a prompt that is to be tried again goes back to the queue.
pub(super) async fn run<E: Streamed>(
    dispatcher: Arc<Dispatcher>,
    lane: Arc<Lane>,
    job: Arc<StreamJob<E>>,
    attempt: Attempt,
) {
    let mut ended = Ended {
        dispatcher: Arc::clone(&dispatcher),
        lane: Arc::clone(&lane),
        kind: Kind::Prompt,
        alone: attempt == Attempt::Alone,
    };
    // Kept open until it is known how the reply has ended, so that its reader finds that out.
    let mut events = None;
    let begun = Instant::now();
    let mut meter = dispatcher.observe_stream_begin(&job);
    let outcome = tokio::select! {
        // Dropping the call cancels it in the plugin.
        () = job.gone() => Err(Halt::Unwanted),
        outcome = converse(&mut ended, &job, &mut meter, &mut events) => outcome,
    };
    match outcome {
        Ok(()) => {
            lane.succeeded();
            dispatcher.observe_stream_call(E::TASK, begun.elapsed());
            job.close();
        }
        Err(Halt::Unwanted) => job.close(),
        Err(Halt::Failed(error)) => {
            call::tell(&dispatcher, &lane, &error);
            settle(&dispatcher, job, attempt, &error);
        }
    }
}

/// The whole of a call: the prompt, and its reply to the end.
async fn converse<E: Streamed>(
    ended: &mut Ended,
    job: &StreamJob<E>,
    meter: &mut E::Meter,
    events: &mut Option<mpsc::Sender<E>>,
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

async fn open<E: Streamed>(lane: &Lane, job: &StreamJob<E>) -> Result<Opening<E>, Halt> {
    let request = job.request().ok_or(Halt::Unwanted)?;
    let mut call = E::ask(lane.client(), request, job.deadline()).await?;
    match call.next().await?.and_then(E::opening) {
        Some(Ok(started)) => Ok(Opening::Started(Box::new(call), started)),
        Some(Err(refused)) => Ok(Opening::Refused(refused)),
        None => Err(out_of_order()),
    }
}

/// Events from the instance to the request, until the last.
async fn pass_on<E: Streamed>(
    mut call: Box<ReplyCall<E>>,
    lane: &Lane,
    events: &mpsc::Sender<E>,
    deadline: Instant,
    meter: &mut E::Meter,
) -> Result<(), Halt> {
    loop {
        let event = call.next().await?.ok_or_else(out_of_order)?;
        lane.call_answered();
        meter.see(&event);
        let last = event.moment() == Moment::Ends;
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
fn settle<E: Streamed>(dispatcher: &Arc<Dispatcher>, job: Arc<StreamJob<E>>, attempt: Attempt, error: &CallError) {
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
            dispatcher.retry_turn(Turn::new(job, attempt));
        }
    }
}

// === impl Halt ===

impl From<CallError> for Halt {
    fn from(error: CallError) -> Self {
        Halt::Failed(error)
    }
}
