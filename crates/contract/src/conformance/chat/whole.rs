//! A whole reply, and the rules that hold of every one.

use crate::client::{CallError, ChatCall, PluginClient};
use crate::conformance::bench::Session;
use crate::conformance::check::{Objection, Verdict};
use crate::{
    ChatCapabilities, ChatEvent, ChatFinished, ChatRefused, ChatRequest, ChatStarted, Fault, FinishReason,
    TokenLogprob, ToolCall,
};

/// A whole reply.
#[derive(Debug, Clone)]
pub(in crate::conformance) struct Whole {
    pub(super) started: ChatStarted,
    pub(super) text: String,
    pub(super) logprobs: Vec<TokenLogprob>,
    pub(super) calls: Vec<ToolCall>,
    pub(super) finished: ChatFinished,
}

/// What a request can come to.
#[derive(Debug)]
pub(in crate::conformance) enum Outcome {
    Finished(Whole),
    Refused(ChatRefused),
    Failed(CallError),
}

// === impl Session ===

impl Session {
    /// What it can chat.
    pub(super) fn chatting(&self) -> Result<&ChatCapabilities, Objection> {
        self.capabilities
            .chat
            .as_ref()
            .ok_or_else(|| Objection::Skip("the model doesn't chat".into()))
    }

    /// A reply to a request that is good.
    pub(in crate::conformance) async fn reply(&self, request: ChatRequest) -> Result<Whole, Objection> {
        let limit = request.max_tokens;
        let whole = Outcome::of(&self.client, request).await.finished()?;
        whole.keeps_the_rules(limit, self.chatting()?.context_length)?;
        Ok(whole)
    }
}

// === impl Outcome ===

impl Outcome {
    /// What a request comes to.
    pub(in crate::conformance) async fn of(client: &PluginClient, request: ChatRequest) -> Self {
        match client.chat(request, None).await {
            Ok(call) => Self::read(call).await,
            Err(error) => Outcome::Failed(error),
        }
    }

    /// What a call comes to that has just begun. The client lets nothing through that is out of order.
    pub(super) async fn read(mut call: ChatCall) -> Self {
        let mut started = ChatStarted::default();
        let (mut text, mut logprobs, mut calls) = (String::new(), Vec::new(), Vec::new());
        loop {
            match call.next().await {
                Ok(Some(ChatEvent::Started(event))) => started = event,
                Ok(Some(ChatEvent::Delta(delta))) => {
                    text.push_str(&delta.text);
                    logprobs.extend(delta.logprobs);
                }
                Ok(Some(ChatEvent::ToolCall(call))) => calls.push(call),
                Ok(Some(ChatEvent::Refused(refused))) => return Outcome::Refused(refused),
                Ok(Some(ChatEvent::Finished(finished))) => {
                    return Outcome::Finished(Whole {
                        started,
                        text,
                        logprobs,
                        calls,
                        finished,
                    });
                }
                Ok(None) => return Outcome::Failed(CallError::Cancelled),
                Err(error) => return Outcome::Failed(error),
            }
        }
    }

    /// The reply, if there is one.
    pub(super) fn finished(self) -> Result<Whole, Objection> {
        match self {
            Outcome::Finished(whole) => Ok(whole),
            Outcome::Refused(refused) => Objection::fail(format!("a good prompt was refused: {refused}")),
            Outcome::Failed(error) => Err(error.into()),
        }
    }

    /// Demands that the request was refused, as the caller's fault.
    pub(super) fn refused(self) -> Verdict {
        match self {
            Outcome::Refused(_) => Ok(()),
            Outcome::Finished(_) => Objection::fail("it was answered"),
            Outcome::Failed(CallError::Plugin(error)) if error.fault == Fault::Caller => Ok(()),
            Outcome::Failed(error) => {
                let Objection::Fail(what) = error.into() else {
                    return Ok(());
                };
                Objection::fail(format!("it was refused, but not as the caller's fault: {what}"))
            }
        }
    }

    /// Demands that, whatever became of the request, the instance is not to blame.
    pub(super) fn not_the_instances_fault(self, shown: &str) -> Verdict {
        match self {
            Outcome::Finished(_) | Outcome::Refused(_) => Ok(()),
            Outcome::Failed(CallError::Plugin(error)) if error.fault != Fault::Instance => Ok(()),
            Outcome::Failed(error) => Objection::fail(format!("{shown}: {error}")),
        }
    }
}

// === impl Whole ===

impl Whole {
    fn keeps_the_rules(&self, limit: Option<u32>, context: u32) -> Verdict {
        let Whole { started, finished, .. } = self;
        let ChatStarted {
            prompt_tokens,
            image_tokens,
        } = *started;
        let ChatFinished {
            reason,
            completion_tokens,
            cached_tokens,
        } = *finished;
        if prompt_tokens == 0 || image_tokens > prompt_tokens || cached_tokens > prompt_tokens {
            return Objection::fail(format!(
                "the prompt has {prompt_tokens} tokens, {image_tokens} of images, {cached_tokens} cached"
            ));
        }
        if completion_tokens == 0 || limit.is_some_and(|limit| completion_tokens > limit) {
            return Objection::fail(format!("the reply has {completion_tokens} tokens of {limit:?}"));
        }
        if prompt_tokens.saturating_add(completion_tokens) > context {
            return Objection::fail(format!(
                "{prompt_tokens} and {completion_tokens} tokens are more than the context of {context}"
            ));
        }
        if (reason == FinishReason::ToolCalls) == self.calls.is_empty() {
            return Objection::fail(format!(
                "it finished by {reason:?} with {} tool calls",
                self.calls.len()
            ));
        }
        Ok(())
    }

    /// Skips the check if the reply was cut off: then it says nothing.
    pub(super) fn in_full(self) -> Result<Self, Objection> {
        match self.finished.reason {
            FinishReason::Length => Objection::skip("the model's reply is too long to tell"),
            FinishReason::Stop | FinishReason::ToolCalls => Ok(self),
        }
    }
}
