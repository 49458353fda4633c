//! What the stub is going to say: tokens, one after the other, and the tools that it calls.

use sensorium_contract::{
    ChatRefused, ChatRequest, ChatTool, Conversation, OutputFormat, Prompt, RefusalCode, Role, Sampling, ToolCall,
    ToolChoice,
};
use serde_json::json;

use super::options::{ChatOptions, Says};
use super::prompt::{Reading, said};
use super::schema;
use super::words::{self, END, Token};
use crate::hash::hash;

/// How often another word is drawn because `logit_bias` forbids the last.
const DRAWS: u64 = 64;

/// From where on `logit_bias` settles a choice.
const SETTLED: f32 = 100.0;

/// What the stub is going to say.
#[derive(Debug)]
pub(crate) struct Script {
    source: Source,
    /// What it calls once it has said it.
    pub(crate) calls: Vec<ToolCall>,
}

#[derive(Debug)]
enum Source {
    /// So many words, drawn with the key.
    Words { key: u64, count: u32, sampling: Sampling },
    /// What there is to say, after which come words.
    Pieces(Vec<Token>, Option<Box<Source>>),
}

// === impl Script ===

impl Script {
    /// What is said to a request; `words` long, if it comes to words and that is given.
    ///
    /// # Errors
    /// If a schema can't be followed.
    pub(crate) fn new(
        request: &ChatRequest,
        reading: &Reading,
        options: &ChatOptions,
        count: Option<u32>,
    ) -> Result<Self, ChatRefused> {
        let calls = match &request.prompt {
            Prompt::Conversation(conversation) => calls(conversation, &said(request), reading.key)?,
            Prompt::Text(_) | Prompt::TokenIds(_) => Vec::new(),
        };
        let words = Source::Words {
            key: reading.key,
            count: count.unwrap_or(options.reply_tokens),
            sampling: request.sampling.clone(),
        };
        let text = |text: &str| Source::Pieces(words::pieces(text), None);
        let source = match (&request.format, options.reply) {
            _ if !calls.is_empty() => {
                let written: String = calls.iter().map(|call| call.arguments.as_str()).collect();
                text(&written)
            }
            (OutputFormat::JsonObject, _) => text(&json!({"reply": words.take(4)}).to_string()),
            (OutputFormat::JsonSchema(schema), _) => text(&follow(schema, "format")?.to_string()),
            (OutputFormat::Text, Says::Echo) if count.is_none() => text(&said(request)),
            (OutputFormat::Text, _) => {
                let sizes = reading
                    .images
                    .iter()
                    .map(|(width, height)| format!("{width}x{height} "));
                Source::Pieces(sizes.map(Token::piece).collect(), Some(Box::new(words)))
            }
        };
        Ok(Self { source, calls })
    }

    /// Its `k`-th token, from 0; `None` once all has been said.
    pub(crate) fn token(&self, k: u32) -> Option<Token> {
        self.source.token(k)
    }

    /// True if its tokens are the arguments of calls, not text.
    pub(crate) fn is_call(&self) -> bool {
        !self.calls.is_empty()
    }
}

// === impl Source ===

impl Source {
    fn token(&self, k: u32) -> Option<Token> {
        match self {
            Source::Words { key, count, sampling } => {
                let id = (k < *count)
                    .then(|| choose(*key, k, sampling))
                    .filter(|id| *id != END)?;
                Some(Token::word(id, k == 0))
            }
            Source::Pieces(pieces, rest) => match pieces.get(k as usize) {
                Some(piece) => Some(piece.clone()),
                None => rest.as_ref()?.token(k - pieces.len() as u32),
            },
        }
    }

    fn take(&self, count: u32) -> String {
        (0..count)
            .map_while(|k| self.token(k))
            .map(|token| token.text)
            .collect()
    }
}

/// The `k`-th word.
fn choose(key: u64, k: u32, sampling: &Sampling) -> u32 {
    let bias = &sampling.logit_bias;
    if let Some((&id, _)) = bias.iter().find(|(_, bias)| **bias >= SETTLED) {
        return id;
    }
    let allowed = |id: &u32| bias.get(id).is_none_or(|bias| *bias > -SETTLED);
    let draws = (0..DRAWS).map(|draw| words::draw(hash(key, &(u64::from(k) << 32 | draw).to_le_bytes())));
    draws.into_iter().find(allowed).unwrap_or(END)
}

/// The tools that are called: the one that is demanded, or those that the user speaks of.
fn calls(conversation: &Conversation, said: &str, key: u64) -> Result<Vec<ToolCall>, ChatRefused> {
    let tools = &conversation.tools;
    let named = |tool: &&ChatTool| said.contains(&tool.name);
    let asked = conversation
        .messages
        .last()
        .is_some_and(|message| message.role == Role::User);
    let mut called: Vec<&ChatTool> = match &conversation.tool_choice {
        ToolChoice::None => Vec::new(),
        // Its answer is to be talked about, not asked for again.
        ToolChoice::Auto if !asked => Vec::new(),
        ToolChoice::Auto => tools.iter().filter(named).collect(),
        ToolChoice::Named(name) => tools.iter().filter(|tool| tool.name == *name).collect(),
        ToolChoice::Required => {
            let all: Vec<_> = tools.iter().filter(named).collect();
            if all.is_empty() {
                tools.iter().take(1).collect()
            } else {
                all
            }
        }
    };
    if !conversation.parallel_tool_calls {
        called.truncate(1);
    }
    let calls = called.into_iter().enumerate().map(|(index, tool)| {
        let field = || {
            let place = tools.iter().position(|other| other.name == tool.name).unwrap_or(index);
            format!("conversation.tools[{place}]")
        };
        let arguments = match &tool.parameters {
            Some(schema) => follow(schema, &field())?,
            None => json!({}),
        };
        Ok(ToolCall {
            id: format!("call_{:016x}", hash(key, format!("{index} {}", tool.name).as_bytes())),
            name: tool.name.clone(),
            arguments: arguments.to_string(),
        })
    });
    calls.collect()
}

fn follow(schema: &serde_json::Value, field: &str) -> Result<serde_json::Value, ChatRefused> {
    schema::instance(schema).map_err(|message| ChatRefused {
        code: RefusalCode::Schema,
        message,
        field: field.into(),
    })
}
