//! Prompts to try a model with.

use crate::{
    ChatCapabilities, ChatMessage, ChatParameter, ChatPart, ChatRequest, ChatTool, Conversation, OutputFormat, Prompt,
    RgbImage, Role, Sampling, ToolChoice,
};

/// What all checks ask, unless it matters.
const QUESTION: &str = "What do you see? Say it in a sentence.";

/// A request that any chat model answers, with a reply of at most so many tokens; before it is known what it can do.
pub(in crate::conformance) fn any(max_tokens: u32) -> ChatRequest {
    ChatRequest {
        prompt: Prompt::Conversation(conversation(vec![ChatMessage::text(Role::User, QUESTION)])),
        sampling: Sampling::default(),
        max_tokens: Some(max_tokens),
        stop: Vec::new(),
        top_logprobs: None,
        format: OutputFormat::Text,
    }
}

/// A request that this model answers the same way every time, if it can, with a reply of at most so many tokens.
pub(in crate::conformance) fn plain(chat: &ChatCapabilities, max_tokens: u32) -> ChatRequest {
    asking(chat, QUESTION, max_tokens)
}

/// The same with another question.
pub(super) fn asking(chat: &ChatCapabilities, question: &str, max_tokens: u32) -> ChatRequest {
    let mut request = any(max_tokens);
    request.sampling.temperature = chat.honours(ChatParameter::Temperature).then_some(0.0);
    request.prompt = if chat.honours(ChatParameter::Conversation) {
        Prompt::Conversation(conversation(vec![ChatMessage::text(Role::User, question)]))
    } else {
        Prompt::Text(question.into())
    };
    request
}

/// Images with a question about them.
pub(super) fn showing(chat: &ChatCapabilities, images: Vec<RgbImage>, max_tokens: u32) -> ChatRequest {
    let mut message = ChatMessage::text(Role::User, QUESTION);
    let images = images.into_iter().map(ChatPart::Image);
    message.parts = images.chain(message.parts).collect();
    ChatRequest {
        prompt: Prompt::Conversation(conversation(vec![message])),
        ..plain(chat, max_tokens)
    }
}

pub(super) fn conversation(messages: Vec<ChatMessage>) -> Conversation {
    Conversation {
        messages,
        tools: Vec::new(),
        tool_choice: ToolChoice::Auto,
        parallel_tool_calls: true,
    }
}

/// Two tools whose arguments are one of a few words.
pub(super) fn tools() -> Vec<ChatTool> {
    let tool = |name: &str, argument: &str, values: [&str; 2]| ChatTool {
        name: name.into(),
        description: Some(format!("Looks up the {name}.")),
        parameters: Some(serde_json::json!({
            "type": "object",
            "properties": {argument: {"type": "string", "enum": values}},
            "required": [argument],
            "additionalProperties": false,
        })),
        strict: true,
    };
    vec![
        tool("weather", "city", ["Oslo", "Paris"]),
        tool("price", "fruit", ["apple", "pear"]),
    ]
}

/// True if equal requests have equal replies.
pub(super) fn is_repeatable(chat: &ChatCapabilities) -> bool {
    chat.honours(ChatParameter::Temperature) || chat.honours(ChatParameter::Seed)
}
