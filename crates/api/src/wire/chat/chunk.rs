//! A chat's reply in chunks, as events.

use bytes::Bytes;
use sensorium_engine::ChatEvent;
use serde::Serialize;
use utoipa::ToSchema;

use super::logprobs::ChatLogprobs;
use super::reply::{FinishName, ToolCallObject};
use crate::chat::choices::Step;
use crate::chat::events::Frames;
use crate::sse::data;
use crate::wire::stamp::Stamp;
use crate::wire::usage::Usage;

/// What `object` says of a chunk.
pub(crate) const OBJECT: &str = "chat.completion.chunk";

/// A part of OpenAI's reply: what comes after `data: `.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChatChunk<'a> {
    /// What the reply says of itself; `object` is `chat.completion.chunk`.
    #[serde(flatten)]
    pub(crate) stamp: &'a Stamp,
    /// One of the choices; none in the chunk that has `usage`.
    pub(crate) choices: Vec<ChunkChoice>,
    /// With `stream_options.include_usage`: `null`, and in the last chunk what the reply took.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Usage>)]
    pub(crate) usage: Option<Option<Usage>>,
}

/// A part of one of the replies.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct ChunkChoice {
    /// From 0.
    pub(crate) index: usize,
    /// What is new.
    pub(crate) delta: Delta,
    /// Of the tokens in `delta`, if they were asked for.
    #[schema(required)]
    pub(crate) logprobs: Option<ChatLogprobs>,
    /// Why it ended, in its last chunk.
    #[schema(required)]
    pub(crate) finish_reason: Option<FinishName>,
}

/// What is new.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Delta {
    /// `assistant`, in the first chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<&'static str>,
    /// More text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content: Option<String>,
    /// One whole call of a tool.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub(crate) tool_calls: Vec<ToolCallObject>,
}

/// Makes chunks of what choices do.
#[derive(Debug)]
pub(crate) struct ChatFrames {
    stamp: Stamp,
    include_usage: bool,
    logprobs: bool,
    /// Calls of each choice so far.
    calls: Vec<usize>,
}

// === impl ChatFrames ===

impl ChatFrames {
    /// Chunks of a reply with `choices` choices.
    pub(crate) fn new(stamp: Stamp, choices: usize, include_usage: bool, logprobs: bool) -> Self {
        Self {
            stamp,
            include_usage,
            logprobs,
            calls: vec![0; choices],
        }
    }

    fn chunk(&self, choices: Vec<ChunkChoice>, usage: Option<Usage>) -> Bytes {
        data(&ChatChunk {
            stamp: &self.stamp,
            choices,
            usage: self.include_usage.then_some(usage),
        })
    }
}

impl Frames for ChatFrames {
    fn step(&mut self, index: usize, step: Step) -> Option<Bytes> {
        let mut choice = ChunkChoice {
            index,
            ..ChunkChoice::default()
        };
        match step {
            Step::Started(_) => {
                choice.delta.role = Some("assistant");
                choice.delta.content = Some(String::new());
            }
            Step::Event(ChatEvent::Delta(delta)) => {
                if delta.text.is_empty() && delta.logprobs.is_empty() {
                    return None;
                }
                choice.delta.content = Some(delta.text);
                choice.logprobs = self.logprobs.then(|| ChatLogprobs::of(delta.logprobs));
            }
            Step::Event(ChatEvent::ToolCall(call)) => {
                let number = self.calls.get_mut(index)?;
                choice.delta.tool_calls = vec![ToolCallObject::new(call, Some(*number))];
                *number += 1;
            }
            Step::Event(ChatEvent::Finished(finished)) => choice.finish_reason = Some(finished.into()),
            Step::Event(ChatEvent::Started(_) | ChatEvent::Refused(_)) => return None,
        }
        Some(self.chunk(vec![choice], None))
    }

    fn end(&mut self, usage: Usage) -> Option<Bytes> {
        self.include_usage.then(|| self.chunk(Vec::new(), Some(usage)))
    }
}

#[cfg(test)]
mod tests;
