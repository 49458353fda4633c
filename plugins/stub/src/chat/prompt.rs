//! What the stub makes of a prompt: how many tokens it has, and a number that all that follows is drawn from.

use sensorium_contract::{
    ChatMessage, ChatPart, ChatRefused, ChatRequest, ChatStarted, Conversation, Prompt, RefusalCode, Role, Sampling,
};

use super::options::ChatOptions;
use super::words;
use crate::hash::hash;

/// Tokens that a chat template adds to each message.
const MESSAGE_TOKENS: usize = 4;

/// Where a hash goes on: texts, ids, pixels and numbers of equal bytes differ.
const TEXT: u64 = 11;
const TOKEN_IDS: u64 = 12;
const IMAGE: u64 = 13;
const SAMPLING: u64 = 14;

/// A prompt that has been read.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) started: ChatStarted,
    /// Follows from everything in the prompt.
    pub(crate) prompt_key: u64,
    /// The same, and from how tokens are chosen, unless that is greedily.
    pub(crate) key: u64,
    /// Width and height of each image.
    pub(crate) images: Vec<(u32, u32)>,
    /// Tokens that the reply may have.
    pub(crate) room: u32,
}

// === impl Reading ===

impl Reading {
    /// Reads the prompt of a request.
    ///
    /// # Errors
    /// If it doesn't fit in the context, with its reply.
    pub(crate) fn new(request: &ChatRequest, options: &ChatOptions) -> Result<Self, ChatRefused> {
        let images: Vec<_> = request.images().map(|image| (image.width(), image.height())).collect();
        let image_tokens = images.len() * options.image_tokens as usize;
        let (prompt_key, text_tokens) = match &request.prompt {
            Prompt::Text(text) => (hash(TEXT, text.as_bytes()), 1 + words::count(text)),
            Prompt::TokenIds(ids) => {
                let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
                (hash(TOKEN_IDS, &bytes), ids.len())
            }
            Prompt::Conversation(conversation) => (conversation_key(conversation), tokens(conversation)),
        };
        let prompt_tokens = text_tokens + image_tokens;
        let context = options.context_length as usize;
        let wanted = request.max_tokens.unwrap_or(1) as usize;
        if prompt_tokens + wanted > context {
            let fits = prompt_tokens < context && request.max_tokens.is_some();
            return Err(too_long(
                prompt_tokens,
                wanted,
                context,
                if fits { "max_tokens" } else { "conversation" },
            ));
        }
        // Both are at most the context's length.
        let (prompt_tokens, image_tokens) = (prompt_tokens as u32, image_tokens as u32);
        Ok(Self {
            started: ChatStarted {
                prompt_tokens,
                image_tokens,
            },
            prompt_key,
            key: prompt_key ^ sampling_key(&request.sampling),
            images,
            room: options.context_length - prompt_tokens,
        })
    }
}

/// What the user said last, or the text to go on with.
pub(crate) fn said(request: &ChatRequest) -> String {
    match &request.prompt {
        Prompt::Text(text) => text.clone(),
        Prompt::TokenIds(_) => String::new(),
        Prompt::Conversation(conversation) => {
            let last = conversation.messages.iter().rfind(|message| message.role == Role::User);
            last.map(text_of).unwrap_or_default()
        }
    }
}

fn text_of(message: &ChatMessage) -> String {
    let texts = message.parts.iter().filter_map(|part| match part {
        ChatPart::Text(text) => Some(text.as_str()),
        ChatPart::Image(_) => None,
    });
    texts.collect()
}

/// Zero for greedy decoding: then nothing of it matters.
fn sampling_key(sampling: &Sampling) -> u64 {
    if sampling.temperature == Some(0.0) {
        return 0;
    }
    hash(SAMPLING, format!("{sampling:?}").as_bytes())
}

fn conversation_key(conversation: &Conversation) -> u64 {
    let mut key = hash(TEXT, format!("{:?}", conversation.tools).as_bytes());
    for message in &conversation.messages {
        let (calls, answers) = (&message.tool_calls, &message.tool_call_id);
        let head = format!("{:?} {:?} {calls:?} {answers:?}", message.role, message.name);
        key = chain(key, hash(TEXT, head.as_bytes()));
        for part in &message.parts {
            let part = match part {
                ChatPart::Text(text) => hash(TEXT, text.as_bytes()),
                ChatPart::Image(image) => {
                    let size = u64::from(image.width()) << 32 | u64::from(image.height());
                    chain(size, hash(IMAGE, image.as_bytes()))
                }
            };
            key = chain(key, part);
        }
    }
    key
}

fn chain(key: u64, next: u64) -> u64 {
    hash(key, &next.to_le_bytes())
}

fn tokens(conversation: &Conversation) -> usize {
    let messages = conversation.messages.iter().map(|message| {
        let calls = message
            .tool_calls
            .iter()
            .map(|call| words::pieces(&call.arguments).len() + 2);
        MESSAGE_TOKENS + words::count(&text_of(message)) + calls.sum::<usize>()
    });
    let tools = conversation.tools.iter().map(|tool| {
        let schema = tool.parameters.as_ref().map(ToString::to_string).unwrap_or_default();
        let description = tool.description.as_deref().unwrap_or_default();
        MESSAGE_TOKENS + words::count(description) + words::pieces(&schema).len()
    });
    // Where the reply begins.
    MESSAGE_TOKENS + messages.sum::<usize>() + tools.sum::<usize>()
}

fn too_long(prompt: usize, reply: usize, context: usize, field: &str) -> ChatRefused {
    ChatRefused {
        code: RefusalCode::ContextLength,
        message: format!("the prompt has {prompt} tokens and its reply {reply}; together they are at most {context}"),
        field: field.into(),
    }
}
