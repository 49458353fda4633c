//! Whole replies, gathered from what their choices do.

use sensorium_engine::{ChatEvent, ChatFinished, TokenLogprob, ToolCall};

use super::choices::{Choices, Step};
use crate::error::ApiError;
use crate::wire::usage::Usage;

/// One whole reply.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply {
    /// What is said.
    pub(crate) text: String,
    /// Tools that are called.
    pub(crate) tool_calls: Vec<ToolCall>,
    /// Of its tokens, if they are wanted.
    pub(crate) logprobs: Vec<TokenLogprob>,
    /// How it ended.
    pub(crate) finished: ChatFinished,
}

/// A reply that is being made.
#[derive(Debug, Default)]
struct Draft {
    text: String,
    tool_calls: Vec<ToolCall>,
    logprobs: Vec<TokenLogprob>,
    finished: Option<ChatFinished>,
}

/// A candidate besides its bytes, as memory and as JSON.
const CANDIDATE: usize = 96;

/// Gathers the replies of all choices.
///
/// # Errors
/// The first that any choice ends with; if together they are larger than `most` bytes.
pub(crate) async fn gather(mut choices: Choices, count: usize, most: usize) -> Result<(Vec<Reply>, Usage), ApiError> {
    let mut drafts: Vec<Draft> = (0..count).map(|_| Draft::default()).collect();
    let mut size: usize = 0;
    while let Some(next) = choices.next().await {
        let (index, step) = next?;
        size = size.saturating_add(weigh(&step));
        if size > most {
            return Err(ApiError::ReplyTooLarge { limit: most });
        }
        drafts
            .get_mut(index)
            .ok_or(ApiError::Internal("a choice that nobody asked for"))?
            .add(step);
    }
    let usage = choices.usage();
    let replies = drafts.into_iter().map(Draft::into_reply).collect::<Option<_>>();
    Ok((replies.ok_or(ApiError::Internal("a reply has no end"))?, usage))
}

// === impl Draft ===

impl Draft {
    fn add(&mut self, step: Step) {
        match step {
            Step::Event(ChatEvent::Delta(delta)) => {
                self.text.push_str(&delta.text);
                self.logprobs.extend(delta.logprobs);
            }
            Step::Event(ChatEvent::ToolCall(call)) => self.tool_calls.push(call),
            Step::Event(ChatEvent::Finished(finished)) => self.finished = Some(finished),
            Step::Started(_) | Step::Event(ChatEvent::Started(_) | ChatEvent::Refused(_)) => {}
        }
    }

    fn into_reply(self) -> Option<Reply> {
        Some(Reply {
            text: self.text,
            tool_calls: self.tool_calls,
            logprobs: self.logprobs,
            finished: self.finished?,
        })
    }
}

fn weigh(step: &Step) -> usize {
    match step {
        Step::Event(ChatEvent::Delta(delta)) => {
            let tokens = delta.logprobs.iter();
            let candidates = tokens.flat_map(|token| std::iter::once(&token.chosen).chain(&token.top));
            let bytes: usize = candidates.map(|candidate| candidate.token.len() + CANDIDATE).sum();
            delta.text.len() + bytes
        }
        Step::Event(ChatEvent::ToolCall(call)) => call.id.len() + call.name.len() + call.arguments.len(),
        Step::Started(_) | Step::Event(_) => 0,
    }
}
