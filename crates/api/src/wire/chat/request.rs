//! A chat request: each field taken, what is left over reported.

use sensorium_engine::{ChatParameter, OutputFormat};
use serde_json::{Value, json};

use super::format::take_format;
use super::message::{Message, take_messages};
use super::tool::Tools;
use crate::config::Limits;
use crate::error::ApiError;
use crate::wire::embeddings::take_model;
use crate::wire::fields::Fields;
use crate::wire::sampling::{Asked, Delivery, take_tokens, take_top};

/// A parsed request.
#[derive(Debug)]
pub(crate) struct ChatCall {
    /// Id or alias.
    pub(crate) model: String,
    /// At least one.
    pub(crate) messages: Vec<Message>,
    /// What may be called.
    pub(crate) tools: Tools,
    /// What shape the reply has.
    pub(crate) format: OutputFormat,
    /// What is asked of each reply.
    pub(crate) asked: Asked,
    /// How the reply is sent.
    pub(crate) delivery: Delivery,
    /// Names of fields that were not understood, or are mere hints.
    pub(crate) ignored: Vec<String>,
}

/// Known from OpenAI or other servers; they would change the reply, so they are not ignored.
const REFUSED: [(&str, &str); 23] = [
    ("functions", "use tools"),
    ("function_call", "use tool_choice"),
    ("audio", "replies are text"),
    ("web_search_options", "this server searches no web"),
    ("chat_template", "templates come from the model alone"),
    ("chat_template_kwargs", "templates come from the model alone"),
    ("documents", "put them into the messages"),
    ("guided_json", "use response_format"),
    ("guided_regex", "use response_format"),
    ("guided_choice", "use response_format"),
    ("guided_grammar", "use response_format"),
    ("structured_outputs", "use response_format"),
    ("grammar", "use response_format"),
    ("json_schema", "use response_format"),
    ("repeat_penalty", "use repetition_penalty"),
    ("length_penalty", "there is no beam search"),
    ("typical_p", "use top_p or min_p"),
    ("mirostat", "use top_p or min_p"),
    ("stop_token_ids", "use stop"),
    ("min_tokens", "replies end where the model ends them"),
    ("bad_words", "use logit_bias"),
    ("prompt_logprobs", "log probabilities are of the reply"),
    (
        "truncate_prompt_tokens",
        "chats are never truncated: send fewer messages",
    ),
];

/// As above, but for the value that asks for nothing.
const REFUSED_UNLESS: [(&str, Value, &str); 9] = [
    ("best_of", Value::Null, "use n"),
    ("echo", Value::Bool(false), "a chat's reply holds no prompt"),
    (
        "ignore_eos",
        Value::Bool(false),
        "replies end where the model ends them",
    ),
    ("use_beam_search", Value::Bool(false), "there is no beam search"),
    ("continue_final_message", Value::Bool(false), "use /v1/completions"),
    ("add_generation_prompt", Value::Bool(true), "use /v1/completions"),
    (
        "skip_special_tokens",
        Value::Bool(true),
        "replies hold no special tokens",
    ),
    (
        "include_stop_str_in_output",
        Value::Bool(false),
        "replies end before a stop string",
    ),
    (
        "return_tokens_as_token_ids",
        Value::Bool(false),
        "logprobs tell tokens as text and bytes",
    ),
];

// === impl ChatCall ===

impl ChatCall {
    /// Parses JSON.
    ///
    /// # Errors
    /// Naming the first field that is wrong.
    pub(crate) fn from_json(body: &[u8], limits: &Limits) -> Result<Self, ApiError> {
        let mut fields = Fields::parse(body)?;
        let model = take_model(&mut fields)?;
        fields.refuse(&REFUSED)?;
        fields.refuse_unless(&REFUSED_UNLESS)?;
        refuse_other_modalities(&mut fields)?;
        let (messages, read) = take_messages(&mut fields, limits)?;
        let tools = Tools::take(&mut fields, limits, read)?;
        let format = take_format(&mut fields, limits)?;
        let mut asked = Asked::take(&mut fields, limits)?;
        asked.max_tokens = take_max_tokens(&mut fields)?;
        asked.top_logprobs = take_logprobs(&mut fields)?;
        want(&mut asked, &messages, &tools, &format);
        let delivery = Delivery::take(&mut fields)?;
        Ok(Self {
            model,
            messages,
            tools,
            format,
            asked,
            delivery,
            ignored: fields.finish(),
        })
    }
}

/// What the model must honour besides sampling.
fn want(asked: &mut Asked, messages: &[Message], tools: &Tools, format: &OutputFormat) {
    asked.want(ChatParameter::Conversation, "messages");
    if asked.top_logprobs.is_some() {
        asked.want(ChatParameter::Logprobs, "logprobs");
    }
    if !tools.tools.is_empty() {
        asked.want(ChatParameter::Tools, "tools");
    }
    if let Some(index) = messages.iter().position(Message::is_about_tools) {
        asked.want(ChatParameter::Tools, format!("messages[{index}]"));
    }
    match format {
        OutputFormat::Text => {}
        OutputFormat::JsonObject => asked.want(ChatParameter::JsonObject, "response_format"),
        OutputFormat::JsonSchema(_) => asked.want(ChatParameter::JsonSchema, "response_format"),
    }
}

fn refuse_other_modalities(fields: &mut Fields) -> Result<(), ApiError> {
    match fields.take("modalities") {
        Some(value) if value != json!(["text"]) => Err(ApiError::unsupported(
            "modalities",
            "modalities other than ['text'] are not supported: replies are text",
        )),
        _ => Ok(()),
    }
}

/// `max_tokens` is the old name of `max_completion_tokens`.
fn take_max_tokens(fields: &mut Fields) -> Result<Option<u32>, ApiError> {
    let old = take_tokens(fields, "max_tokens")?;
    let new = take_tokens(fields, "max_completion_tokens")?;
    match (old, new) {
        (Some(old), Some(new)) if old != new => Err(ApiError::invalid(
            "max_tokens",
            "max_tokens and max_completion_tokens contradict each other: send the latter alone",
        )),
        (old, new) => Ok(new.or(old)),
    }
}

fn take_logprobs(fields: &mut Fields) -> Result<Option<u32>, ApiError> {
    let wanted = fields.optional::<bool>("logprobs")?.unwrap_or(false);
    let top = take_top(fields, "top_logprobs", 20)?;
    match (wanted, top) {
        (true, top) => Ok(Some(top.unwrap_or(0))),
        (false, None | Some(0)) => Ok(None),
        (false, Some(_)) => Err(ApiError::invalid(
            "top_logprobs",
            "top_logprobs is allowed only with logprobs: true",
        )),
    }
}

#[cfg(test)]
mod tests;
