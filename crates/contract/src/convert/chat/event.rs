//! What a model says: events, deltas, log probabilities, how a reply ends or is refused.

use crate::{
    Candidate, ChatDelta, ChatEvent, ChatFinished, ChatStarted, FinishReason, Invalid, RefusalCode, Refused,
    TokenLogprob,
    convert::{known, required, unknown},
    proto,
};

/// An event, or `None` for one that a later minor version has added.
pub(crate) fn chat_event_from_wire(wire: proto::ChatEvent) -> Result<Option<ChatEvent>, Invalid> {
    use proto::chat_event::Event;
    let Some(event) = wire.event else { return Ok(None) };
    Ok(Some(match event {
        Event::Started(started) => ChatEvent::Started(ChatStarted {
            prompt_tokens: started.prompt_tokens,
            image_tokens: started.image_tokens,
        }),
        Event::Delta(delta) => ChatEvent::Delta(delta.try_into()?),
        Event::ToolCall(call) => ChatEvent::ToolCall(call.into()),
        Event::Finished(finished) => ChatEvent::Finished(finished.try_into()?),
        Event::Refused(refused) => ChatEvent::Refused(refused.try_into()?),
    }))
}

impl From<ChatEvent> for proto::ChatEvent {
    fn from(event: ChatEvent) -> Self {
        use proto::chat_event::Event;
        let event = match event {
            ChatEvent::Started(started) => Event::Started(proto::ChatStarted {
                prompt_tokens: started.prompt_tokens,
                image_tokens: started.image_tokens,
            }),
            ChatEvent::Delta(delta) => Event::Delta(delta.into()),
            ChatEvent::ToolCall(call) => Event::ToolCall(call.into()),
            ChatEvent::Finished(finished) => Event::Finished(finished.into()),
            ChatEvent::Refused(refused) => Event::Refused(refused.into()),
        };
        Self { event: Some(event) }
    }
}

impl TryFrom<proto::ChatDelta> for ChatDelta {
    type Error = Invalid;

    fn try_from(wire: proto::ChatDelta) -> Result<Self, Invalid> {
        Ok(Self {
            text: wire.text,
            tokens: wire.tokens,
            logprobs: wire.logprobs.into_iter().map(logprob).collect::<Result<_, _>>()?,
        })
    }
}

impl From<ChatDelta> for proto::ChatDelta {
    fn from(delta: ChatDelta) -> Self {
        let logprob = |one: TokenLogprob| proto::TokenLogprob {
            chosen: Some(one.chosen.into()),
            top: one.top.into_iter().map(Into::into).collect(),
        };
        Self {
            text: delta.text,
            tokens: delta.tokens,
            logprobs: delta.logprobs.into_iter().map(logprob).collect(),
        }
    }
}

fn logprob(wire: proto::TokenLogprob) -> Result<TokenLogprob, Invalid> {
    Ok(TokenLogprob {
        chosen: required(wire.chosen, "logprobs.chosen")?.try_into()?,
        top: wire.top.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
    })
}

impl TryFrom<proto::Candidate> for Candidate {
    type Error = Invalid;

    fn try_from(wire: proto::Candidate) -> Result<Self, Invalid> {
        let candidate = Self {
            id: wire.id,
            token: wire.token,
            logprob: wire.logprob,
        };
        candidate.validate()?;
        Ok(candidate)
    }
}

impl From<Candidate> for proto::Candidate {
    fn from(candidate: Candidate) -> Self {
        Self {
            id: candidate.id,
            token: candidate.token,
            logprob: candidate.logprob,
        }
    }
}

impl TryFrom<proto::ChatFinished> for ChatFinished {
    type Error = Invalid;

    fn try_from(wire: proto::ChatFinished) -> Result<Self, Invalid> {
        let reason = match known(wire.reason, "finished.reason")? {
            proto::FinishReason::Stop => FinishReason::Stop,
            proto::FinishReason::Length => FinishReason::Length,
            proto::FinishReason::ToolCalls => FinishReason::ToolCalls,
            proto::FinishReason::Unspecified => return Err(unknown(wire.reason, "finished.reason")),
        };
        Ok(Self {
            reason,
            completion_tokens: wire.completion_tokens,
            cached_tokens: wire.cached_tokens,
        })
    }
}

impl From<ChatFinished> for proto::ChatFinished {
    fn from(finished: ChatFinished) -> Self {
        let reason = match finished.reason {
            FinishReason::Stop => proto::FinishReason::Stop,
            FinishReason::Length => proto::FinishReason::Length,
            FinishReason::ToolCalls => proto::FinishReason::ToolCalls,
        };
        Self {
            reason: reason.into(),
            completion_tokens: finished.completion_tokens,
            cached_tokens: finished.cached_tokens,
        }
    }
}

impl TryFrom<proto::ChatRefused> for Refused {
    type Error = Invalid;

    fn try_from(wire: proto::ChatRefused) -> Result<Self, Invalid> {
        let code = match known(wire.code, "refused.code")? {
            proto::RefusalCode::InvalidInput => RefusalCode::InvalidInput,
            proto::RefusalCode::ContextLength => RefusalCode::ContextLength,
            proto::RefusalCode::Schema => RefusalCode::Schema,
            proto::RefusalCode::Unspecified => return Err(unknown(wire.code, "refused.code")),
        };
        Ok(Self {
            code,
            message: wire.message,
            field: wire.field,
        })
    }
}

impl From<Refused> for proto::ChatRefused {
    fn from(refused: Refused) -> Self {
        let code = match refused.code {
            RefusalCode::InvalidInput => proto::RefusalCode::InvalidInput,
            RefusalCode::ContextLength => proto::RefusalCode::ContextLength,
            RefusalCode::Schema => proto::RefusalCode::Schema,
        };
        Self {
            code: code.into(),
            message: refused.message,
            field: refused.field,
        }
    }
}
