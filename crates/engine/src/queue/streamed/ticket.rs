//! A request's own end of the queue: first a ticket, then a reply.

use std::sync::Arc;

use sensorium_contract::Moment;
use tokio::sync::mpsc;

use super::job::{Opened, Opening, QueuedJob, StreamJob};
use super::task::Streamed;
use crate::Error;
use crate::queue::Dispatcher;

/// A prompt that waits to be read. Dropping it calls the work off.
pub(crate) struct Ticket<E: Streamed> {
    hold: Hold<E>,
    opening: Opening<E>,
}

/// A reply as it is made. Dropping it calls the work off.
pub(crate) struct Reply<E: Streamed> {
    hold: Hold<E>,
    started: E::Started,
    events: mpsc::Receiver<E>,
    over: bool,
}

/// Calls the job off when it is dropped.
struct Hold<E: Streamed> {
    dispatcher: Arc<Dispatcher>,
    job: Arc<StreamJob<E>>,
}

// === impl Ticket ===

impl<E: Streamed> Ticket<E> {
    pub(in crate::queue) fn new(dispatcher: Arc<Dispatcher>, job: Arc<StreamJob<E>>, opening: Opening<E>) -> Self {
        Self {
            hold: Hold { dispatcher, job },
            opening,
        }
    }

    /// The reply, once the prompt has been read; or the deadline, or the client's going away: whichever comes first.
    pub(crate) async fn opened(mut self) -> Result<Reply<E>, Error> {
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

impl<E: Streamed> Reply<E> {
    pub(crate) fn started(&self) -> E::Started {
        self.started
    }

    /// The next event; `None` once the reply is over. Nothing comes after an error.
    pub(crate) async fn next(&mut self) -> Option<Result<E, Error>> {
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
        self.over = !matches!(next.as_ref().map(E::moment), Ok(Moment::Continues));
        if next.is_err() {
            job.call_off();
        }
        Some(next)
    }
}

// === impl Hold ===

impl<E: Streamed> Drop for Hold<E> {
    fn drop(&mut self) {
        self.job.call_off();
        if self.job.is_waiting() {
            let queued: Arc<dyn QueuedJob> = Arc::clone(&self.job) as _;
            self.dispatcher.forget_turn(&queued);
            self.job.close();
        }
    }
}
