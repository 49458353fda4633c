//! One prompt to a model, and its reply as it is made.

use std::sync::Arc;

use sensorium_contract::{ChatEvent, ChatRefused, ChatRequest, ChatStarted, Invalid, RefusalCode, Task};

use crate::model::Slot;
use crate::queue::Reply;
use crate::{Admission, Error};

/// One reply as it is made. Dropping it calls the work off.
///
/// It holds its request's slot, so the model counts as busy until the reply has been read or dropped.
pub struct ChatStream {
    reply: Reply,
    slot: Arc<Slot>,
}

// === impl Admission ===

impl Admission {
    /// Sends one prompt to the model, through its queue, and resolves when the plugin has read it. A request for
    /// several choices calls this several times, concurrently; all share the admission's one slot. A prompt that an
    /// instance's death takes with it is tried once more. Dropping the future calls the work off.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::Refused`] says what of the prompt can't be answered.
    pub async fn chat(&self, request: ChatRequest) -> Result<ChatStream, Error> {
        let unsupported = || Error::TaskUnsupported {
            model: self.model().id.clone(),
            task: Task::Chat,
        };
        let chat = self.capabilities().chat.as_ref().ok_or_else(unsupported)?;
        // The plugin is never sent what the model's capabilities don't list.
        request
            .validate()
            .and_then(|()| chat.check(&request))
            .map_err(refused)?;
        let ticket = self
            .core()
            .dispatcher()
            .submit_chat(request, self.deadline(), self.cancel())?;
        Ok(ChatStream {
            reply: ticket.opened().await?,
            slot: Arc::clone(self.slot()),
        })
    }
}

// === impl ChatStream ===

impl ChatStream {
    /// What the prompt came to.
    pub fn started(&self) -> ChatStarted {
        self.reply.started()
    }

    /// The next event: deltas and tool calls, then `Finished`, then nothing. Never `Started` or `Refused`. Nothing
    /// comes after an error, which may come at any time: [`Error::Crashed`], [`Error::Deadline`] and
    /// [`Error::Cancelled`] above all.
    pub async fn next(&mut self) -> Option<Result<ChatEvent, Error>> {
        let event = self.reply.next().await;
        if let Some(Ok(ChatEvent::Finished(_))) = &event {
            self.slot.answered();
        }
        event
    }
}

fn refused(invalid: Invalid) -> Error {
    Error::Refused(ChatRefused {
        code: RefusalCode::InvalidInput,
        message: invalid.to_string(),
        field: invalid.field.to_owned(),
    })
}
