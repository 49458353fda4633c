//! What a chat or a completion took.

use serde::Serialize;
use utoipa::ToSchema;

/// What a request took, in tokens of the model. Its prompt counts once, however many replies it got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Usage {
    /// Tokens of the prompt, those of images and of the chat template included.
    #[schema(example = 21)]
    pub(crate) prompt_tokens: u64,
    /// Tokens of all replies.
    #[schema(example = 7)]
    pub(crate) completion_tokens: u64,
    /// Both together.
    #[schema(example = 28)]
    pub(crate) total_tokens: u64,
    /// Of the prompt.
    pub(crate) prompt_tokens_details: PromptDetails,
    /// Of the replies.
    pub(crate) completion_tokens_details: CompletionDetails,
}

/// What is to be known of a prompt's tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct PromptDetails {
    /// That were not computed anew.
    pub(crate) cached_tokens: u64,
    /// That stand for images.
    pub(crate) image_tokens: u64,
}

/// What is to be known of a reply's tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct CompletionDetails {
    /// Always 0: whatever a model says is in its reply.
    pub(crate) reasoning_tokens: u64,
}

// === impl Usage ===

impl Usage {
    /// Counts a prompt.
    pub(crate) fn prompt(&mut self, tokens: u32, image_tokens: u32) {
        self.prompt_tokens += u64::from(tokens);
        self.total_tokens += u64::from(tokens);
        self.prompt_tokens_details.image_tokens += u64::from(image_tokens);
    }

    /// Counts a reply.
    pub(crate) fn completion(&mut self, tokens: u32) {
        self.completion_tokens += u64::from(tokens);
        self.total_tokens += u64::from(tokens);
    }

    /// Counts tokens of a prompt that were not computed anew.
    pub(crate) fn cached(&mut self, tokens: u32) {
        self.prompt_tokens_details.cached_tokens += u64::from(tokens);
    }
}
