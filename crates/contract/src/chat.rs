//! The chat task: its requests and what comes back.

use std::collections::BTreeMap;

use crate::{Invalid, Refused, RgbImage};

/// Most stop strings in a request.
pub const MAX_STOPS: usize = 64;

/// One prompt that is to be answered once. A request for several choices is several of these.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatRequest {
    /// What is to be answered or continued.
    pub prompt: Prompt,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Most tokens of the reply; `None`: as many as the context has room for.
    pub max_tokens: Option<u32>,
    /// The reply ends before the first of these; none is empty.
    pub stop: Vec<String>,
    /// `Some` if log probabilities are wanted: how many of the likeliest tokens beside the chosen one.
    pub top_logprobs: Option<u32>,
    /// What shape the reply has.
    pub format: OutputFormat,
}

/// What is to be answered or continued.
#[derive(Debug, Clone, PartialEq)]
pub enum Prompt {
    /// Messages, put into words by the model's chat template.
    Conversation(Conversation),
    /// A text that is continued as it stands.
    Text(String),
    /// Ids of the model's own tokenizer, continued as they stand.
    TokenIds(Vec<u32>),
}

/// Messages and the tools that may be called.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation {
    /// At least one.
    pub messages: Vec<ChatMessage>,
    /// With distinct names.
    pub tools: Vec<ChatTool>,
    /// Means something only if there are tools.
    pub tool_choice: ToolChoice,
    /// False: at most one call in a reply.
    pub parallel_tool_calls: bool,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The operator.
    System,
    /// The developer: what newer clients send for `System`.
    Developer,
    /// The user.
    User,
    /// The model.
    Assistant,
    /// A tool that the model has called.
    Tool,
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatMessage {
    /// Who speaks.
    pub role: Role,
    /// What is said and shown; may be empty if there are tool calls.
    pub parts: Vec<ChatPart>,
    /// Calls that the assistant made.
    pub tool_calls: Vec<ToolCall>,
    /// The call that a tool's message answers.
    pub tool_call_id: Option<String>,
    /// Who speaks, where several share a role.
    pub name: Option<String>,
}

/// A piece of a message.
#[derive(Debug, Clone, PartialEq)]
pub enum ChatPart {
    /// Words.
    Text(String),
    /// Pixels, prepared as the model's capabilities say.
    Image(RgbImage),
}

/// A function that the model may call.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatTool {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// JSON Schema of its arguments; `None`: any object.
    pub parameters: Option<serde_json::Value>,
    /// Arguments are sure to follow the schema.
    pub strict: bool,
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// Names the call.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// A JSON object, as text.
    pub arguments: String,
}

/// Whether tools are called.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ToolChoice {
    /// The model decides.
    #[default]
    Auto,
    /// None is.
    None,
    /// At least one is.
    Required,
    /// This one is.
    Named(String),
}

/// How tokens are chosen. `None`: no such filter or penalty.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sampling {
    /// 0: greedy; `None`: 1.
    pub temperature: Option<f32>,
    /// Least set of tokens with this probability together (Holtzman et al. 2020).
    pub top_p: Option<f32>,
    /// This many of the likeliest tokens.
    pub top_k: Option<u32>,
    /// Tokens with at least this share of the likeliest one's probability (Nguyen et al. 2024).
    pub min_p: Option<f32>,
    /// Equal seeds, prompts and parameters give equal replies on one model revision.
    pub seed: u64,
    /// Subtracted from the logit of every token that the reply has already.
    pub presence_penalty: Option<f32>,
    /// Subtracted as many times as the reply has the token already.
    pub frequency_penalty: Option<f32>,
    /// Divides positive logits of tokens seen, multiplies negative ones (Keskar et al. 2019); 1: none.
    pub repetition_penalty: Option<f32>,
    /// Added to the logits of these tokens, -100 to 100.
    pub logit_bias: BTreeMap<u32, f32>,
}

/// What shape a reply has.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum OutputFormat {
    /// Any text.
    #[default]
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON that follows this JSON Schema.
    JsonSchema(serde_json::Value),
}

/// What comes back, in this order: `Started`, deltas and tool calls, `Finished`; or `Refused` alone.
#[derive(Debug, Clone, PartialEq)]
pub enum ChatEvent {
    /// The prompt is not refused any more.
    Started(ChatStarted),
    /// More text.
    Delta(ChatDelta),
    /// A whole call of a tool.
    ToolCall(ToolCall),
    /// The reply is whole.
    Finished(ChatFinished),
    /// The prompt can't be answered, and it is the caller's fault.
    Refused(Refused),
}

/// What the prompt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChatStarted {
    /// Tokens of the prompt, those of images included.
    pub prompt_tokens: u32,
    /// Tokens that stand for images.
    pub image_tokens: u32,
}

/// More of the reply.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChatDelta {
    /// Whole characters; may be empty.
    pub text: String,
    /// Tokens made since the last event.
    pub tokens: u32,
    /// Of the tokens whose text this is, if they are wanted.
    pub logprobs: Vec<TokenLogprob>,
}

/// A chosen token and what else was likely.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogprob {
    /// The token of the reply.
    pub chosen: Candidate,
    /// The likeliest tokens, likeliest first.
    pub top: Vec<Candidate>,
}

/// A token with its probability.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Its id in the model's vocabulary.
    pub id: u32,
    /// Its bytes, which need not be UTF-8.
    pub token: Vec<u8>,
    /// Natural logarithm of its probability: under the model, before temperature and filters, after penalties and
    /// bias.
    pub logprob: f32,
}

/// Why a reply ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FinishReason {
    /// The model ended, or a stop string came.
    Stop,
    /// `max_tokens`, or the end of the context.
    Length,
    /// Tools are to be called.
    ToolCalls,
}

/// What the reply came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChatFinished {
    /// Why it ended.
    pub reason: FinishReason,
    /// Tokens of the reply, stop tokens included.
    pub completion_tokens: u32,
    /// Tokens of the prompt that were not computed anew.
    pub cached_tokens: u32,
}

// === impl ChatRequest ===

impl ChatRequest {
    /// Checks what the types alone don't hold.
    ///
    /// # Errors
    /// The first field that breaks the contract.
    pub fn validate(&self) -> Result<(), Invalid> {
        match &self.prompt {
            Prompt::Conversation(conversation) => conversation.validate()?,
            Prompt::Text(_) => {}
            Prompt::TokenIds(ids) if ids.is_empty() => return Err(Invalid::new("token_ids", "is empty")),
            Prompt::TokenIds(_) => {}
        }
        if self.max_tokens == Some(0) {
            return Err(Invalid::new("max_tokens", "is 0; leave it out for no limit"));
        }
        if self.stop.len() > MAX_STOPS || self.stop.iter().any(String::is_empty) {
            return Err(Invalid::new("stop", "has too many strings, or an empty one"));
        }
        self.sampling.validate()
    }

    /// All images of the prompt, in order.
    pub fn images(&self) -> impl Iterator<Item = &RgbImage> {
        let messages = match &self.prompt {
            Prompt::Conversation(conversation) => conversation.messages.as_slice(),
            Prompt::Text(_) | Prompt::TokenIds(_) => &[],
        };
        messages
            .iter()
            .flat_map(|message| &message.parts)
            .filter_map(|part| match part {
                ChatPart::Image(image) => Some(image),
                ChatPart::Text(_) => None,
            })
    }
}

// === impl Conversation ===

impl Conversation {
    fn validate(&self) -> Result<(), Invalid> {
        if self.messages.is_empty() {
            return Err(Invalid::new("messages", "is empty; a conversation has at least one"));
        }
        for (index, tool) in self.tools.iter().enumerate() {
            if tool.name.is_empty() || self.tools[..index].iter().any(|other| other.name == tool.name) {
                return Err(Invalid::new("tools", "has a tool with no name, or two with the same"));
            }
        }
        match &self.tool_choice {
            ToolChoice::Named(name) if !self.tools.iter().any(|tool| tool.name == *name) => {
                Err(Invalid::new("tool_choice", "names no tool of the conversation"))
            }
            ToolChoice::Required if self.tools.is_empty() => {
                Err(Invalid::new("tool_choice", "requires a call, but there are no tools"))
            }
            _ => Ok(()),
        }
    }
}

// === impl Sampling ===

impl Sampling {
    fn validate(&self) -> Result<(), Invalid> {
        let check = |field: &'static str, value: Option<f32>, good: fn(f32) -> bool, range: &str| match value {
            Some(value) if !(value.is_finite() && good(value)) => {
                Err(Invalid::new(field, format!("is {value}; it is {range}")))
            }
            _ => Ok(()),
        };
        check("sampling.temperature", self.temperature, |v| v >= 0.0, "0 or more")?;
        check(
            "sampling.top_p",
            self.top_p,
            |v| v > 0.0 && v <= 1.0,
            "over 0 and at most 1",
        )?;
        check("sampling.min_p", self.min_p, |v| (0.0..=1.0).contains(&v), "0 to 1")?;
        check("sampling.presence_penalty", self.presence_penalty, |_| true, "finite")?;
        check("sampling.frequency_penalty", self.frequency_penalty, |_| true, "finite")?;
        check(
            "sampling.repetition_penalty",
            self.repetition_penalty,
            |v| v > 0.0,
            "over 0",
        )?;
        if self.top_k == Some(0) {
            return Err(Invalid::new("sampling.top_k", "is 0; leave it out for no limit"));
        }
        if self
            .logit_bias
            .values()
            .any(|bias| !bias.is_finite() || bias.abs() > 100.0)
        {
            return Err(Invalid::new(
                "sampling.logit_bias",
                "has a value that is not -100 to 100",
            ));
        }
        Ok(())
    }
}

// === impl ChatMessage ===

impl ChatMessage {
    /// What `role` says in words.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self {
            role,
            parts: vec![ChatPart::Text(text.into())],
            tool_calls: Vec::new(),
            tool_call_id: None,
            name: None,
        }
    }
}

// === impl Candidate ===

impl Candidate {
    /// Checks what the types alone don't hold.
    ///
    /// # Errors
    /// The field that breaks the contract.
    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        if self.logprob.is_nan() || self.logprob > 1e-3 {
            return Err(Invalid::new("logprob", format!("is {}; it is at most 0", self.logprob)));
        }
        Ok(())
    }
}
