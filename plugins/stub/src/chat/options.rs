//! What a stub that chats may be told in the registry.

use std::time::Duration;

use schemars::JsonSchema;
use sensorium_contract::{ChatCapabilities, ChatImages, ChatParameter, Filter, ImageSpec, ResizeMode};
use serde::{Deserialize, Serialize};

use super::words;
use crate::options::duration;

/// Options of a stub that chats; all have defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ChatOptions {
    /// Prompt and reply together, in tokens.
    pub(crate) context_length: u32,
    /// What it says to a prompt that asks for nothing in particular.
    pub(crate) reply: Says,
    /// Tokens of a reply in words, if nothing ends it sooner.
    pub(crate) reply_tokens: u32,
    /// What reading a prompt takes, as `20ms`.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub(crate) prompt_latency: Duration,
    /// What each token takes, as `5ms`.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub(crate) token_latency: Duration,
    /// Most images in a conversation; 0: it reads none.
    pub(crate) max_images: u32,
    /// Images are brought to fit into a square with this side, in pixels.
    pub(crate) image_side: u32,
    /// Shortest side of an image that it reads, in pixels.
    pub(crate) min_side: u32,
    /// Tokens that stand for one image.
    pub(crate) image_tokens: u32,
    /// Most entries of `top_logprobs`.
    pub(crate) max_top_logprobs: u32,
    /// What it honours, as `temperature` or `json_schema`. Absent: everything.
    #[schemars(with = "Option<Vec<String>>")]
    pub(crate) parameters: Option<Vec<ChatParameter>>,
    /// A prompt that it has read before counts as cached.
    pub(crate) prefix_cache: bool,
}

/// What a stub says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Says {
    /// The sizes of the images that it sees, and words that follow from the prompt's hash.
    Words,
    /// What the user said last.
    Echo,
}

/// All that there is to honour.
const EVERYTHING: [ChatParameter; 15] = [
    ChatParameter::Temperature,
    ChatParameter::TopP,
    ChatParameter::TopK,
    ChatParameter::MinP,
    ChatParameter::Seed,
    ChatParameter::PresencePenalty,
    ChatParameter::FrequencyPenalty,
    ChatParameter::RepetitionPenalty,
    ChatParameter::LogitBias,
    ChatParameter::Logprobs,
    ChatParameter::Tools,
    ChatParameter::JsonObject,
    ChatParameter::JsonSchema,
    ChatParameter::Completion,
    ChatParameter::Conversation,
];

// === impl ChatOptions ===

impl Default for ChatOptions {
    fn default() -> Self {
        Self {
            context_length: 4096,
            reply: Says::Words,
            reply_tokens: 16,
            prompt_latency: Duration::ZERO,
            token_latency: Duration::ZERO,
            max_images: 4,
            image_side: 512,
            min_side: 4,
            image_tokens: 16,
            max_top_logprobs: 20,
            parameters: None,
            prefix_cache: false,
        }
    }
}

impl ChatOptions {
    pub(crate) fn capabilities(&self) -> ChatCapabilities {
        ChatCapabilities {
            context_length: self.context_length,
            parameters: self.parameters.clone().unwrap_or_else(|| EVERYTHING.to_vec()),
            images: (self.max_images > 0).then_some(ChatImages {
                spec: ImageSpec {
                    width: self.image_side,
                    height: self.image_side,
                    mode: ResizeMode::Fit,
                    filter: Filter::Bicubic,
                },
                max_images: self.max_images,
                min_side: self.min_side,
            }),
            vocabulary: words::VOCABULARY,
            max_top_logprobs: self.max_top_logprobs,
        }
    }
}
