//! The host's end of a reply that comes event by event.

use std::time::Instant;

use tonic::Streaming;

use super::{CallError, by};
use crate::convert::to_call_error;
use crate::event::{Moment, ReplyEvent};
use crate::{ChatEvent, ImageEvent, Invalid};

/// One reply as it comes. Dropping it calls the work off.
#[derive(Debug)]
pub struct ReplyCall<E: ReplyEvent> {
    events: Streaming<E::Wire>,
    expected: E::Expected,
    deadline: Option<Instant>,
    stage: Stage,
}

/// One reply to one prompt: `Started` first, then deltas and tool calls, then `Finished` — or `Refused` alone.
pub type ChatCall = ReplyCall<ChatEvent>;

/// One request's images: `Started` first, then steps, previews and images, then `Finished` — or `Refused` alone. Each
/// image that was asked for comes once, in the size that was asked for.
pub type ImageCall = ReplyCall<ImageEvent>;

/// How far a reply has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Sent,
    Started,
    Over,
}

// === impl ReplyCall ===

impl<E: ReplyEvent> ReplyCall<E> {
    pub(super) fn new(events: Streaming<E::Wire>, expected: E::Expected, deadline: Option<Instant>) -> Self {
        Self {
            events,
            expected,
            deadline,
            stage: Stage::Sent,
        }
    }

    /// The next event; `None` once the reply is over.
    ///
    /// # Errors
    /// See [`CallError`]; [`CallError::Breach`] for events out of order. Nothing comes after an error.
    pub async fn next(&mut self) -> Result<Option<E>, CallError> {
        if self.stage == Stage::Over {
            return Ok(None);
        }
        let event = self.read().await;
        self.stage = match event.as_ref().map(E::moment) {
            Ok(Moment::Opens | Moment::Continues) => Stage::Started,
            Ok(Moment::Ends | Moment::Refuses) | Err(_) => Stage::Over,
        };
        event.map(Some)
    }

    async fn read(&mut self) -> Result<E, CallError> {
        let breach = |problem: &str| CallError::Breach(Invalid::new("event", problem));
        loop {
            let events = &mut self.events;
            let message = by(self.deadline, async { events.message().await.map_err(to_call_error) }).await?;
            let Some(message) = message else {
                return Err(breach("`finished` never came, though the stream has ended"));
            };
            let Some(event) = E::from_wire(message).map_err(CallError::Breach)? else {
                continue;
            };
            match (event.moment(), self.stage) {
                (Moment::Opens | Moment::Refuses, Stage::Sent) | (Moment::Continues | Moment::Ends, Stage::Started) => {
                }
                (Moment::Opens | Moment::Refuses, _) => return Err(breach("opens a reply that is under way")),
                (Moment::Continues | Moment::Ends, _) => return Err(breach("comes before `started`")),
            }
            event.check(&mut self.expected).map_err(CallError::Breach)?;
            return Ok(event);
        }
    }
}
