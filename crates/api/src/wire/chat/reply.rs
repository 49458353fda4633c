//! A chat's whole reply.

use sensorium_engine::{ChatFinished, FinishReason, ToolCall};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::logprobs::ChatLogprobs;
use crate::chat::reply::Reply;
use crate::wire::stamp::Stamp;
use crate::wire::usage::Usage;

/// What `object` says of a whole reply.
pub(crate) const OBJECT: &str = "chat.completion";

/// OpenAI's reply.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChatCompletion {
    /// What the reply says of itself; `object` is `chat.completion`.
    #[serde(flatten)]
    pub(crate) stamp: Stamp,
    /// As many as `n`.
    pub(crate) choices: Vec<ChatChoice>,
    /// What it took.
    pub(crate) usage: Usage,
}

/// One of the replies.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChatChoice {
    /// From 0.
    pub(crate) index: usize,
    /// What the model says.
    pub(crate) message: AssistantMessage,
    /// If they were asked for.
    #[schema(required)]
    pub(crate) logprobs: Option<ChatLogprobs>,
    /// Why it ended.
    pub(crate) finish_reason: FinishName,
}

/// What the model says.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AssistantMessage {
    /// Always `assistant`.
    #[schema(example = "assistant")]
    pub(crate) role: &'static str,
    /// Its text; `null` where it only calls tools.
    #[schema(required, example = "a red circle above a blue square")]
    pub(crate) content: Option<String>,
    /// Always `null`: what a model refuses it says in `content`.
    #[schema(required)]
    pub(crate) refusal: Option<String>,
    /// Tools that it calls.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub(crate) tool_calls: Vec<ToolCallObject>,
    /// Always empty.
    #[schema(value_type = Vec<Object>)]
    pub(crate) annotations: [Value; 0],
}

/// A call of a tool.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ToolCallObject {
    /// In chunks only: which of the message's calls this is, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) index: Option<usize>,
    /// Names the call; the tool's message answers with it in `tool_call_id`.
    #[schema(example = "call_0")]
    pub(crate) id: String,
    /// Always `function`.
    #[serde(rename = "type")]
    #[schema(example = "function")]
    pub(crate) kind: &'static str,
    /// What is called.
    pub(crate) function: CalledFunction,
}

/// What is called.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CalledFunction {
    /// The name of a tool.
    pub(crate) name: String,
    /// A JSON object, as text.
    #[schema(example = "{\"city\":\"Paris\"}")]
    pub(crate) arguments: String,
}

/// Why a reply ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FinishName {
    /// The model ended it, or a stop string came.
    Stop,
    /// `max_completion_tokens`, or the end of the model's context.
    Length,
    /// Tools are to be called.
    ToolCalls,
}

// === impl ChatCompletion ===

impl ChatCompletion {
    /// The reply with these choices; `logprobs` says whether they were asked for.
    pub(crate) fn new(stamp: Stamp, replies: Vec<Reply>, usage: Usage, logprobs: bool) -> Self {
        let choices = replies.into_iter().enumerate();
        Self {
            stamp,
            choices: choices
                .map(|(index, reply)| ChatChoice::new(index, reply, logprobs))
                .collect(),
            usage,
        }
    }
}

// === impl ChatChoice ===

impl ChatChoice {
    fn new(index: usize, reply: Reply, logprobs: bool) -> Self {
        let silent = reply.text.is_empty() && !reply.tool_calls.is_empty();
        let calls = reply.tool_calls.into_iter();
        Self {
            index,
            message: AssistantMessage {
                role: "assistant",
                content: (!silent).then_some(reply.text),
                refusal: None,
                tool_calls: calls.map(|call| ToolCallObject::new(call, None)).collect(),
                annotations: [],
            },
            logprobs: logprobs.then(|| ChatLogprobs::of(reply.logprobs)),
            finish_reason: reply.finished.into(),
        }
    }
}

// === impl ToolCallObject ===

impl ToolCallObject {
    /// A call, numbered if it is sent in a chunk.
    pub(crate) fn new(call: ToolCall, index: Option<usize>) -> Self {
        Self {
            index,
            id: call.id,
            kind: "function",
            function: CalledFunction {
                name: call.name,
                arguments: call.arguments,
            },
        }
    }
}

// === impl FinishName ===

impl From<ChatFinished> for FinishName {
    fn from(finished: ChatFinished) -> Self {
        match finished.reason {
            FinishReason::Stop => Self::Stop,
            FinishReason::Length => Self::Length,
            FinishReason::ToolCalls => Self::ToolCalls,
        }
    }
}
