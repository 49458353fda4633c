//! A reply of any task as it is made, with its request's slot.

use std::sync::Arc;

use sensorium_contract::{Invalid, Moment};

use crate::model::Slot;
use crate::queue::{Reply, Streamed};
use crate::{Admission, Error};

/// One reply as it is made, with its request's slot. Dropping it calls the work off.
pub(crate) struct Stream<E: Streamed> {
    reply: Reply<E>,
    slot: Arc<Slot>,
}

// === impl Admission ===

impl Admission {
    /// Sends one request to the model, through its queue, and resolves when the plugin has read it. `check` says whether
    /// the model's capabilities allow it; `None` if they don't have the task.
    pub(crate) async fn stream<E: Streamed>(
        &self,
        request: E::Request,
        check: impl FnOnce(&E::Request) -> Option<Result<(), Invalid>>,
    ) -> Result<Stream<E>, Error> {
        let unsupported = || Error::TaskUnsupported {
            model: self.model().id.clone(),
            task: E::TASK,
        };
        // The plugin is never sent what the model's capabilities don't list.
        check(&request).ok_or_else(unsupported)?.map_err(Error::refused)?;
        let dispatcher = self.core().dispatcher();
        let ticket = dispatcher.submit_streamed(request, self.deadline(), self.cancel())?;
        Ok(Stream {
            reply: ticket.opened().await?,
            slot: Arc::clone(self.slot()),
        })
    }
}

// === impl Stream ===

impl<E: Streamed> Stream<E> {
    /// What the prompt came to.
    pub(crate) fn started(&self) -> E::Started {
        self.reply.started()
    }

    /// The next event, until the last; nothing comes after an error.
    pub(crate) async fn next(&mut self) -> Option<Result<E, Error>> {
        let event = self.reply.next().await;
        if event
            .as_ref()
            .is_some_and(|event| event.as_ref().is_ok_and(|event| matches!(event.moment(), Moment::Ends)))
        {
            self.slot.answered();
        }
        event
    }
}
