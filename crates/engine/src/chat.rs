//! One prompt to a model, and its reply as it is made.

use sensorium_contract::{ChatEvent, ChatRequest, ChatStarted};

use crate::stream::Stream;
use crate::{Admission, Error};

/// One reply as it is made. Dropping it calls the work off.
///
/// It holds its request's slot, so the model counts as busy until the reply has been read or dropped.
pub struct ChatStream(Stream<ChatEvent>);

// === impl Admission ===

impl Admission {
    /// Sends one prompt to the model, through its queue, and resolves when the plugin has read it. A request for
    /// several choices calls this several times, concurrently; all share the admission's one slot. A prompt that an
    /// instance's death takes with it is tried once more. Dropping the future calls the work off.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::Refused`] says what of the prompt can't be answered.
    pub async fn chat(&self, request: ChatRequest) -> Result<ChatStream, Error> {
        let chat = self.capabilities().chat.as_ref();
        self.stream::<ChatEvent>(request, |request| {
            let chat = chat?;
            Some(request.validate().and_then(|()| chat.check(request)))
        })
        .await
        .map(ChatStream)
    }
}

// === impl ChatStream ===

impl ChatStream {
    /// What the prompt came to.
    pub fn started(&self) -> ChatStarted {
        self.0.started()
    }

    /// The next event: deltas and tool calls, then `Finished`, then nothing. Never `Started` or `Refused`. Nothing
    /// comes after an error, which may come at any time: [`Error::Crashed`], [`Error::Deadline`] and
    /// [`Error::Cancelled`] above all.
    pub async fn next(&mut self) -> Option<Result<ChatEvent, Error>> {
        self.0.next().await
    }
}
