//! A completion request: each field taken, what is left over reported.

use sensorium_engine::ChatParameter;
use serde_json::Value;

use crate::config::Limits;
use crate::error::ApiError;
use crate::wire::embeddings::take_model;
use crate::wire::fields::{Fields, kind_of};
use crate::wire::sampling::{Asked, Delivery, take_tokens, take_top};

/// A parsed request.
#[derive(Debug)]
pub(crate) struct CompletionsCall {
    /// Id or alias.
    pub(crate) model: String,
    /// What is to be continued.
    pub(crate) prompts: Prompts,
    /// Whether a reply begins with its prompt.
    pub(crate) echo: bool,
    /// What is asked of each reply.
    pub(crate) asked: Asked,
    /// How the reply is sent.
    pub(crate) delivery: Delivery,
    /// Names of fields that were not understood, or are mere hints.
    pub(crate) ignored: Vec<String>,
}

/// What is to be continued.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Prompts {
    /// At least one.
    pub(crate) items: Vec<PromptItem>,
    /// True if they came as a list.
    pub(crate) listed: bool,
}

/// A text, or the ids of its tokens.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum PromptItem {
    /// A text.
    Text(String),
    /// Token ids; whose tokens they are is the model's setting.
    Tokens(Vec<u32>),
}

/// OpenAI's own default.
const MAX_TOKENS: u32 = 16;

/// Known from OpenAI or other servers; they would change the reply, so they are not ignored.
const REFUSED: [(&str, &str); 13] = [
    ("response_format", "use /v1/chat/completions"),
    ("tools", "use /v1/chat/completions"),
    ("max_completion_tokens", "use max_tokens"),
    ("guided_json", "use response_format of /v1/chat/completions"),
    ("guided_regex", "use response_format of /v1/chat/completions"),
    ("guided_choice", "use response_format of /v1/chat/completions"),
    ("grammar", "use response_format of /v1/chat/completions"),
    ("repeat_penalty", "use repetition_penalty"),
    ("stop_token_ids", "use stop"),
    ("min_tokens", "replies end where the model ends them"),
    ("prompt_logprobs", "log probabilities are of the reply"),
    ("truncate_prompt_tokens", "prompts are never truncated: send less"),
    ("prompt_embeds", "send text or token ids"),
];

/// As above, but for the value that asks for nothing.
const REFUSED_UNLESS: [(&str, Value, &str); 5] = [
    (
        "suffix",
        Value::String(String::new()),
        "models here continue a text, they don't fill it in",
    ),
    (
        "ignore_eos",
        Value::Bool(false),
        "replies end where the model ends them",
    ),
    ("use_beam_search", Value::Bool(false), "there is no beam search"),
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
];

// === impl CompletionsCall ===

impl CompletionsCall {
    /// Parses JSON.
    ///
    /// # Errors
    /// Naming the first field that is wrong.
    pub(crate) fn from_json(body: &[u8], limits: &Limits) -> Result<Self, ApiError> {
        let mut fields = Fields::parse(body)?;
        let model = take_model(&mut fields)?;
        fields.refuse(&REFUSED)?;
        fields.refuse_unless(&REFUSED_UNLESS)?;
        let prompts = Prompts::take(&mut fields, limits)?;
        let mut asked = Asked::take(&mut fields, limits)?;
        check_choices(&prompts, asked.n, limits)?;
        take_best_of(&mut fields, asked.n)?;
        asked.max_tokens = Some(take_tokens(&mut fields, "max_tokens")?.unwrap_or(MAX_TOKENS));
        asked.top_logprobs = take_logprobs(&mut fields)?;
        asked.want(ChatParameter::Completion, "prompt");
        if asked.top_logprobs.is_some() {
            asked.want(ChatParameter::Logprobs, "logprobs");
        }
        let echo = fields.optional("echo")?.unwrap_or(false);
        if echo && asked.top_logprobs.is_some() {
            let message = "echo is not supported with logprobs: log probabilities are of the reply";
            return Err(ApiError::unsupported("echo", message));
        }
        let delivery = Delivery::take(&mut fields)?;
        Ok(Self {
            model,
            prompts,
            echo,
            asked,
            delivery,
            ignored: fields.finish(),
        })
    }
}

// === impl Prompts ===

impl Prompts {
    fn take(fields: &mut Fields, limits: &Limits) -> Result<Self, ApiError> {
        let value = fields.take("prompt").ok_or(ApiError::missing("prompt"))?;
        let (list, listed) = match value {
            Value::Array(ids) if ids.first().is_some_and(Value::is_number) => (vec![Value::Array(ids)], false),
            Value::Array(list) if list.is_empty() => {
                return Err(ApiError::invalid("prompt", "prompt is empty: send at least one"));
            }
            Value::Array(list) => (list, true),
            single => (vec![single], false),
        };
        if list.len() > limits.choices as usize {
            let message = format!("prompt has {} entries; at most {}", list.len(), limits.choices);
            return Err(ApiError::invalid("prompt", message));
        }
        let mut prompts = Self {
            items: Vec::with_capacity(list.len()),
            listed,
        };
        for (index, value) in list.into_iter().enumerate() {
            prompts.items.push(item(&prompts.name(index), value)?);
        }
        if prompts.bytes() > limits.prompt_bytes {
            let message = format!("prompt is too long: at most {} bytes", limits.prompt_bytes);
            return Err(ApiError::invalid("prompt", message));
        }
        Ok(prompts)
    }

    /// What to call one in an error.
    pub(crate) fn name(&self, index: usize) -> String {
        if self.listed {
            format!("prompt[{index}]")
        } else {
            "prompt".to_owned()
        }
    }

    /// Bytes of all of them.
    pub(crate) fn bytes(&self) -> usize {
        let bytes = |item: &PromptItem| match item {
            PromptItem::Text(text) => text.len(),
            PromptItem::Tokens(ids) => size_of_val(ids.as_slice()),
        };
        self.items.iter().map(bytes).sum()
    }
}

fn item(at: &str, value: Value) -> Result<PromptItem, ApiError> {
    let bad = |message: &str| Err(ApiError::invalid(at.to_owned(), format!("{at} {message}")));
    match value {
        Value::String(text) => Ok(PromptItem::Text(text)),
        Value::Array(ids) if ids.is_empty() => bad("has no token ids"),
        Value::Array(ids) => {
            let ids: Option<Vec<u32>> = ids
                .iter()
                .map(|id| id.as_u64().and_then(|id| u32::try_from(id).ok()))
                .collect();
            match ids {
                Some(ids) => Ok(PromptItem::Tokens(ids)),
                None => bad("must hold token ids: integers from 0, nothing else"),
            }
        }
        other => bad(&format!("must be a text or token ids, not {}", kind_of(&other))),
    }
}

fn check_choices(prompts: &Prompts, n: u32, limits: &Limits) -> Result<(), ApiError> {
    let choices = prompts.items.len() as u64 * u64::from(n);
    if choices > u64::from(limits.choices) {
        let most = limits.choices;
        let message = format!("n times the number of prompts is {choices}; at most {most}");
        return Err(ApiError::invalid("n", message));
    }
    Ok(())
}

fn take_best_of(fields: &mut Fields, n: u32) -> Result<(), ApiError> {
    match fields.optional::<u32>("best_of")? {
        Some(best_of) if best_of != n => Err(ApiError::unsupported(
            "best_of",
            "best_of is not supported: all replies are given, ask for them with n",
        )),
        _ => Ok(()),
    }
}

/// A number here; `true` and `false` belong to chats.
fn take_logprobs(fields: &mut Fields) -> Result<Option<u32>, ApiError> {
    take_top(fields, "logprobs", 5)
}

#[cfg(test)]
mod tests;
