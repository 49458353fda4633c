//! A chat request as the OpenAPI document shows it. Nothing is parsed into these types: see [`crate::wire::schema`].
#![allow(dead_code, reason = "these types are read by utoipa's derive alone")]

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A conversation, and what is asked of the reply. Fields of other servers that would change it are refused by name.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": "What can you do?"}]}))]
pub(crate) struct ChatCompletionRequest {
    /// Id or alias of a model that chats.
    #[schema(example = "gpt-4o")]
    pub(crate) model: String,
    /// The conversation so far.
    #[schema(min_items = 1, max_items = 2048)]
    pub(crate) messages: Vec<ChatMessageInput>,
    /// Most tokens of a reply; by default as many as the context has room for.
    #[schema(minimum = 1)]
    pub(crate) max_completion_tokens: Option<u32>,
    /// The old name of `max_completion_tokens`.
    #[schema(minimum = 1, deprecated)]
    pub(crate) max_tokens: Option<u32>,
    /// 0: always the likeliest token. By default 1.
    #[schema(minimum = 0, maximum = 2)]
    pub(crate) temperature: Option<f32>,
    /// The least set of tokens with this probability together.
    #[schema(exclusive_minimum = 0, maximum = 1)]
    pub(crate) top_p: Option<f32>,
    /// This many of the likeliest tokens; 0: all.
    #[schema(minimum = -1)]
    pub(crate) top_k: Option<i64>,
    /// Tokens with at least this share of the likeliest one's probability.
    #[schema(minimum = 0, maximum = 1)]
    pub(crate) min_p: Option<f32>,
    /// Replies, made side by side.
    #[schema(minimum = 1, maximum = 128)]
    pub(crate) n: Option<u32>,
    /// Up to four texts; the reply ends before the first of them.
    pub(crate) stop: Option<Stop>,
    /// Equal requests with equal seeds have equal replies; choice i uses the seed plus i.
    pub(crate) seed: Option<i64>,
    /// Whether to tell the log probability of each token.
    pub(crate) logprobs: Option<bool>,
    /// And of how many of the likeliest tokens beside it; only with `logprobs`.
    #[schema(minimum = 0, maximum = 20)]
    pub(crate) top_logprobs: Option<u32>,
    /// Added to the logits of tokens, by their ids.
    pub(crate) logit_bias: Option<BTreeMap<String, f32>>,
    /// Subtracted from the logit of every token that the reply has already.
    #[schema(minimum = -2, maximum = 2)]
    pub(crate) presence_penalty: Option<f32>,
    /// Subtracted as many times as the reply has the token already.
    #[schema(minimum = -2, maximum = 2)]
    pub(crate) frequency_penalty: Option<f32>,
    /// Divides the logits of tokens seen already; 1: off.
    #[schema(exclusive_minimum = 0, maximum = 10)]
    pub(crate) repetition_penalty: Option<f32>,
    /// Functions that the model may call.
    #[schema(max_items = 128)]
    pub(crate) tools: Option<Vec<ToolInput>>,
    /// `auto`, `none`, `required`, one function by name, or a list of allowed ones.
    #[schema(value_type = Option<Object>)]
    pub(crate) tool_choice: Option<Value>,
    /// False: at most one call in a reply.
    pub(crate) parallel_tool_calls: Option<bool>,
    /// The shape of the reply. JSON is guaranteed, also against a schema whose `strict` is not set; a reply that is cut
    /// off says so in `finish_reason`.
    pub(crate) response_format: Option<ResponseFormatInput>,
    /// Whether to send the reply as it is made.
    pub(crate) stream: Option<bool>,
    /// Only with `stream`.
    pub(crate) stream_options: Option<StreamOptionsInput>,
    /// Only `text`.
    pub(crate) modalities: Option<Vec<String>>,
}

/// One turn of a conversation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChatMessageInput {
    /// `system`, `developer`, `user`, `assistant` or `tool`.
    #[schema(example = "user")]
    pub(crate) role: String,
    /// A text, or a list of texts and images. An assistant's message with tool calls needs none.
    pub(crate) content: Option<ContentInput>,
    /// Who speaks, where several share a role.
    pub(crate) name: Option<String>,
    /// An assistant's calls, as it made them.
    pub(crate) tool_calls: Option<Vec<ToolCallInput>>,
    /// The call that a tool's message answers.
    pub(crate) tool_call_id: Option<String>,
    /// What an assistant refused with.
    pub(crate) refusal: Option<String>,
}

/// What a message says and shows.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum ContentInput {
    /// A text.
    Text(String),
    /// Texts and images in order.
    Parts(Vec<ContentPartInput>),
}

/// A text or an image. Images stand in messages of users and tools.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ContentPartInput {
    /// A text.
    Text {
        /// The text.
        text: String,
    },
    /// An image.
    ImageUrl {
        /// The image.
        image_url: ImageUrlInput,
    },
}

/// An image.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImageUrlInput {
    /// A URL, a `data:` URI, or base64.
    pub(crate) url: String,
    /// A hint, listed in `x-sensorium-ignored`: the model decides how closely it looks.
    pub(crate) detail: Option<String>,
}

/// A call that an assistant made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ToolCallInput {
    /// Names the call.
    pub(crate) id: String,
    /// Always `function`.
    pub(crate) r#type: Option<String>,
    /// What was called.
    pub(crate) function: CalledFunctionInput,
}

/// What was called.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CalledFunctionInput {
    /// The name of a tool.
    pub(crate) name: String,
    /// A JSON object, as text.
    pub(crate) arguments: String,
}

/// A function that the model may call.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ToolInput {
    /// Always `function`.
    pub(crate) r#type: String,
    /// The function.
    pub(crate) function: FunctionInput,
}

/// A function.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FunctionInput {
    /// 1 to 64 letters, digits, underscores and dashes.
    #[schema(pattern = "^[a-zA-Z0-9_-]{1,64}$")]
    pub(crate) name: String,
    /// What it does.
    pub(crate) description: Option<String>,
    /// JSON Schema of its arguments; by default any object.
    #[schema(value_type = Option<Object>)]
    pub(crate) parameters: Option<Value>,
    /// Whether arguments must follow the schema.
    pub(crate) strict: Option<bool>,
}

/// The shape of a reply.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ResponseFormatInput {
    /// Any text.
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON that follows a schema.
    JsonSchema {
        /// The schema.
        json_schema: JsonSchemaInput,
    },
}

/// A schema with its name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JsonSchemaInput {
    /// 1 to 64 letters, digits, underscores and dashes.
    #[schema(pattern = "^[a-zA-Z0-9_-]{1,64}$")]
    pub(crate) name: String,
    /// JSON Schema; by default that of any object.
    #[schema(value_type = Option<Object>)]
    pub(crate) schema: Option<Value>,
    /// A schema always binds, whatever this says.
    pub(crate) strict: Option<bool>,
}

/// Texts that end a reply.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Stop {
    /// One.
    One(String),
    /// Up to four.
    Several(Vec<String>),
}

/// How a stream is sent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StreamOptionsInput {
    /// Whether a last event says what the reply took.
    pub(crate) include_usage: Option<bool>,
}
