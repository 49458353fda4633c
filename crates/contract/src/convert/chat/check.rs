//! A request held against what a model said it can do.

use crate::{ChatCapabilities, ChatParameter, ChatRequest, ImageSpec, Invalid, OutputFormat, Prompt, ResizeMode};

/// Checks a request against what the model said it can do.
///
/// # Errors
/// The first thing that the model didn't list.
pub(crate) fn check_request(request: &ChatRequest, chat: &ChatCapabilities) -> Result<(), Invalid> {
    let lacks = |field, what: &str| {
        Err(Invalid::new(
            field,
            format!("is not for this model: it doesn't honour {what}"),
        ))
    };
    let sampling = &request.sampling;
    let unlisted = |parameter| !chat.honours(parameter);
    match &request.prompt {
        Prompt::Conversation(conversation) => {
            if unlisted(ChatParameter::Conversation) {
                return lacks("conversation", "conversations");
            }
            if !conversation.tools.is_empty() && unlisted(ChatParameter::Tools) {
                return lacks("tools", "tools");
            }
        }
        Prompt::Text(_) | Prompt::TokenIds(_) if unlisted(ChatParameter::Completion) => {
            return lacks("prompt", "prompts without a conversation");
        }
        Prompt::Text(_) | Prompt::TokenIds(_) => {}
    }
    for (given, parameter, field) in [
        (
            sampling.temperature.is_some(),
            ChatParameter::Temperature,
            "sampling.temperature",
        ),
        (sampling.top_p.is_some(), ChatParameter::TopP, "sampling.top_p"),
        (sampling.top_k.is_some(), ChatParameter::TopK, "sampling.top_k"),
        (sampling.min_p.is_some(), ChatParameter::MinP, "sampling.min_p"),
        (
            sampling.presence_penalty.is_some(),
            ChatParameter::PresencePenalty,
            "sampling.presence_penalty",
        ),
        (
            sampling.frequency_penalty.is_some(),
            ChatParameter::FrequencyPenalty,
            "sampling.frequency_penalty",
        ),
        (
            sampling.repetition_penalty.is_some(),
            ChatParameter::RepetitionPenalty,
            "sampling.repetition_penalty",
        ),
        (
            !sampling.logit_bias.is_empty(),
            ChatParameter::LogitBias,
            "sampling.logit_bias",
        ),
        (request.top_logprobs.is_some(), ChatParameter::Logprobs, "top_logprobs"),
        (
            request.format == OutputFormat::JsonObject,
            ChatParameter::JsonObject,
            "format",
        ),
        (
            matches!(request.format, OutputFormat::JsonSchema(_)),
            ChatParameter::JsonSchema,
            "format",
        ),
    ] {
        if given && unlisted(parameter) {
            return lacks(field, "it");
        }
    }
    if request.top_logprobs.unwrap_or(0) > chat.max_top_logprobs {
        let problem = format!("is over {}, the most that this model gives", chat.max_top_logprobs);
        return Err(Invalid::new("top_logprobs", problem));
    }
    let ids = match &request.prompt {
        Prompt::TokenIds(ids) => ids.as_slice(),
        Prompt::Conversation(_) | Prompt::Text(_) => &[],
    };
    if ids
        .iter()
        .chain(sampling.logit_bias.keys())
        .any(|&id| id >= chat.vocabulary)
    {
        let problem = format!(
            "has an id that is not below {}, the size of the vocabulary",
            chat.vocabulary
        );
        return Err(Invalid::new("token_ids", problem));
    }
    check_images(request, chat)
}

fn check_images(request: &ChatRequest, chat: &ChatCapabilities) -> Result<(), Invalid> {
    let mut count = 0;
    for image in request.images() {
        let Some(images) = chat.images else {
            return Err(Invalid::new("image", "is not for this model: it reads none"));
        };
        count += 1;
        if count > images.max_images {
            let problem = format!("is one too many: this model reads {}", images.max_images);
            return Err(Invalid::new("image", problem));
        }
        if !images.spec.admits(image.width(), image.height()) {
            let ImageSpec { width, height, .. } = images.spec;
            let problem = format!(
                "is {}×{} pixels; this model takes {width}×{height}",
                image.width(),
                image.height()
            );
            return Err(Invalid::new("image", problem));
        }
    }
    Ok(())
}

impl ImageSpec {
    /// True if an image of this size is what the spec asks for.
    pub fn admits(self, width: u32, height: u32) -> bool {
        match self.mode {
            ResizeMode::Fit => width <= self.width && height <= self.height,
            ResizeMode::Squash | ResizeMode::ShortestEdgeCrop { .. } => (width, height) == (self.width, self.height),
        }
    }
}
