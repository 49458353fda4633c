//! Where a request is wrong, in the client's terms, when the model says it in its own.

use std::borrow::Cow;

use sensorium_engine::{ChatRefused, Error as EngineError, RefusalCode};

use crate::error::ApiError;

/// What the prompt came in: where a refusal is to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PromptParam {
    /// A chat's messages.
    Messages,
    /// A completion's prompt.
    Prompt,
    /// One of a completion's prompts.
    Prompts,
}

// === impl PromptParam ===

impl PromptParam {
    /// The client's error for one of the engine's about a prompt, by its number.
    pub(crate) fn error(self, prompt: usize, source: EngineError) -> ApiError {
        match &source {
            EngineError::Refused(refused) => ApiError::Engine {
                param: Some(Cow::Owned(self.locate(prompt, refused))),
                source,
            },
            _ => source.into(),
        }
    }

    fn locate(self, prompt: usize, refused: &ChatRefused) -> String {
        let whole = match self {
            Self::Messages => "messages".to_owned(),
            Self::Prompt => "prompt".to_owned(),
            Self::Prompts => format!("prompt[{prompt}]"),
        };
        match refused.code {
            RefusalCode::ContextLength => whole,
            RefusalCode::InvalidInput | RefusalCode::Schema => in_request(&refused.field, &whole),
        }
    }
}

/// A field as `plugin.proto` calls it, as the request does.
fn in_request(field: &str, whole: &str) -> String {
    let field = field.strip_prefix("conversation.").unwrap_or(field);
    if field.starts_with("messages[") {
        return field.replacen("].parts[", "].content[", 1);
    }
    for group in ["sampling.", ""] {
        if let Some(name) = field.strip_prefix(group).filter(|name| !name.is_empty()) {
            return match name {
                "format" | "format.json_schema" | "format.json_object" => "response_format".to_owned(),
                "text" | "token_ids" | "messages" | "conversation" => whole.to_owned(),
                name => name.to_owned(),
            };
        }
    }
    whole.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_named_as_the_client_does() {
        for (code, field, prompt, expected) in [
            (
                RefusalCode::InvalidInput,
                "conversation.messages[2].parts[1]",
                PromptParam::Messages,
                "messages[2].content[1]",
            ),
            (
                RefusalCode::InvalidInput,
                "conversation.messages[0].name",
                PromptParam::Messages,
                "messages[0].name",
            ),
            (RefusalCode::InvalidInput, "", PromptParam::Messages, "messages"),
            (RefusalCode::InvalidInput, "text", PromptParam::Prompt, "prompt"),
            (
                RefusalCode::InvalidInput,
                "token_ids",
                PromptParam::Prompts,
                "prompt[1]",
            ),
            (
                RefusalCode::InvalidInput,
                "sampling.top_k",
                PromptParam::Messages,
                "top_k",
            ),
            (
                RefusalCode::InvalidInput,
                "sampling.",
                PromptParam::Messages,
                "sampling.",
            ),
            (
                RefusalCode::InvalidInput,
                "max_tokens",
                PromptParam::Messages,
                "max_tokens",
            ),
            (
                RefusalCode::ContextLength,
                "max_tokens",
                PromptParam::Messages,
                "messages",
            ),
            (RefusalCode::ContextLength, "", PromptParam::Prompt, "prompt"),
            (RefusalCode::Schema, "format", PromptParam::Messages, "response_format"),
            (
                RefusalCode::Schema,
                "conversation.tools[0]",
                PromptParam::Messages,
                "tools[0]",
            ),
        ] {
            let refused = ChatRefused {
                code,
                message: "no".into(),
                field: field.into(),
            };
            assert_eq!(prompt.locate(1, &refused), expected, "{field}");
        }
    }
}
