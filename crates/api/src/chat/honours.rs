//! Whether the model can do what is asked. What it can't is refused by name, before anything is spent on it.

use sensorium_engine::{Admission, ChatCapabilities, ChatParameter, Error as EngineError, Task};

use crate::error::ApiError;
use crate::wire::sampling::Asked;

/// What the model can do, if it chats or completes.
///
/// # Errors
/// If it does neither.
pub(crate) fn chat_capabilities(admission: &Admission) -> Result<&ChatCapabilities, ApiError> {
    let model = &admission.model().id;
    let unsupported = || EngineError::TaskUnsupported {
        model: model.clone(),
        task: Task::Chat,
    };
    Ok(admission.capabilities().chat.as_ref().ok_or_else(unsupported)?)
}

/// Refuses what the model doesn't honour.
///
/// # Errors
/// Naming the first such parameter; a token that the vocabulary doesn't have; too many log probabilities.
pub(crate) fn check_honoured(chat: &ChatCapabilities, asked: &Asked) -> Result<(), ApiError> {
    for wanted in &asked.wanted {
        if !chat.honours(wanted.parameter) {
            let at = &wanted.at;
            let message = format!("{at} is not supported by this model: {}", advice(wanted.parameter));
            return Err(ApiError::unsupported(at.clone(), message));
        }
    }
    let vocabulary = chat.vocabulary;
    if let Some((id, _)) = asked
        .sampling
        .logit_bias
        .iter()
        .next_back()
        .filter(|(id, _)| **id >= vocabulary)
    {
        let message = format!(
            "logit_bias has the token {id}; the model's vocabulary ends at {}",
            vocabulary - 1
        );
        return Err(ApiError::invalid("logit_bias", message));
    }
    let most = chat.max_top_logprobs;
    if asked.top_logprobs.is_some_and(|top| top > most) {
        let message = format!("top_logprobs is at most {most} with this model");
        return Err(ApiError::unsupported("top_logprobs", message));
    }
    Ok(())
}

/// What to do about a parameter that a model doesn't honour.
fn advice(parameter: ChatParameter) -> &'static str {
    match parameter {
        ChatParameter::Temperature
        | ChatParameter::TopP
        | ChatParameter::TopK
        | ChatParameter::MinP
        | ChatParameter::Seed
        | ChatParameter::PresencePenalty
        | ChatParameter::FrequencyPenalty
        | ChatParameter::RepetitionPenalty
        | ChatParameter::LogitBias
        | ChatParameter::Logprobs => "leave it out",
        ChatParameter::Tools => "it calls no tools",
        ChatParameter::JsonObject | ChatParameter::JsonSchema => "it can't be held to JSON",
        ChatParameter::Completion => "it only chats, see /v1/chat/completions",
        ChatParameter::Conversation => "it has no chat template, see /v1/completions",
    }
}
