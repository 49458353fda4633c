//! A request's end of the queue.

use std::sync::Arc;

use sensorium_contract::Embedding;

use super::dispatcher::Dispatcher;
use super::job::{Answer, Job};
use crate::Error;

/// A request's end of the queue. Dropping it calls the work off.
pub(crate) struct Ticket {
    dispatcher: Arc<Dispatcher>,
    job: Arc<Job>,
    answer: Answer,
}

// === impl Ticket ===

impl Ticket {
    pub(super) fn new(dispatcher: Arc<Dispatcher>, job: Arc<Job>, answer: Answer) -> Self {
        Self {
            dispatcher,
            job,
            answer,
        }
    }

    /// The answer, or the deadline, or the client's going away: whichever comes first.
    pub(crate) async fn answer(mut self) -> Result<Vec<Embedding>, Error> {
        tokio::select! {
            biased;
            // The sender lives in the job, which this ticket holds: it can't be dropped unsent.
            answer = &mut self.answer => answer.unwrap_or(Err(Error::Cancelled)),
            () = self.job.gone() => Err(Error::Cancelled),
            () = tokio::time::sleep_until(self.job.deadline().into()) => Err(Error::Deadline),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.job.call_off();
        self.dispatcher.forget(&self.job);
    }
}
