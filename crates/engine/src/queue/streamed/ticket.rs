//! A request's own end of the queue: first a ticket, then a reply.

use std::sync::Arc;

use sensorium_contract::{ChatEvent, ChatStarted};
use tokio::sync::mpsc;

use super::job::{ChatJob, Opened, Opening};
use crate::Error;
use crate::queue::Dispatcher;

/// A prompt that waits to be read. Dropping it calls the work off.
pub(crate) struct ChatTicket {
    hold: Hold,
    opening: Opening,
}

/// A reply as it is made. Dropping it calls the work off.
pub(crate) struct Reply {
    hold: Hold,
    started: ChatStarted,
    events: mpsc::Receiver<ChatEvent>,
    over: bool,
}

/// Calls the job off when it is dropped.
struct Hold {
    dispatcher: Arc<Dispatcher>,
    job: Arc<ChatJob>,
}

// === impl ChatTicket ===

impl ChatTicket {
    pub(in crate::queue) fn new(dispatcher: Arc<Dispatcher>, job: Arc<ChatJob>, opening: Opening) -> Self {
        Self {
            hold: Hold { dispatcher, job },
            opening,
        }
    }

    /// The reply, once the prompt has been read; or the deadline, or the client's going away: whichever comes first.
    pub(crate) async fn opened(mut self) -> Result<Reply, Error> {
        let job = &self.hold.job;
        let Opened { started, events } = tokio::select! {
            biased;
            // The job, which this ticket holds, drops the sender only if nobody waits any more.
            opened = &mut self.opening => opened.unwrap_or(Err(Error::Cancelled))?,
            () = job.gone() => return Err(Error::Cancelled),
            () = tokio::time::sleep_until(job.deadline().into()) => return Err(Error::Deadline),
        };
        Ok(Reply {
            hold: self.hold,
            started,
            events,
            over: false,
        })
    }
}

// === impl Reply ===

impl Reply {
    pub(crate) fn started(&self) -> ChatStarted {
        self.started
    }

    /// The next event; `None` once the reply is over. Nothing comes after an error.
    pub(crate) async fn next(&mut self) -> Option<Result<ChatEvent, Error>> {
        if self.over {
            return None;
        }
        let job = &self.hold.job;
        let next = tokio::select! {
            biased;
            () = job.gone() => Err(Error::Cancelled),
            event = self.events.recv() => event.ok_or_else(|| job.error().unwrap_or(Error::Cancelled)),
            () = tokio::time::sleep_until(job.deadline().into()) => Err(Error::Deadline),
        };
        self.over = !matches!(next, Ok(ChatEvent::Delta(_) | ChatEvent::ToolCall(_)));
        if next.is_err() {
            job.call_off();
        }
        Some(next)
    }
}

// === impl Hold ===

impl Drop for Hold {
    fn drop(&mut self) {
        self.job.call_off();
        self.dispatcher.forget_chat(&self.job);
    }
}
