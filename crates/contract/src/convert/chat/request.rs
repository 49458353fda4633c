//! A chat request, its sampling and its output format.

use std::collections::BTreeMap;

use super::json;
use crate::{ChatRequest, Invalid, OutputFormat, Prompt, Sampling, convert::required, proto};

impl TryFrom<proto::ChatRequest> for ChatRequest {
    type Error = Invalid;

    fn try_from(wire: proto::ChatRequest) -> Result<Self, Invalid> {
        use proto::chat_request::Prompt as Wire;
        let prompt = match required(wire.prompt, "prompt")? {
            Wire::Conversation(conversation) => Prompt::Conversation(conversation.try_into()?),
            Wire::Text(text) => Prompt::Text(text),
            Wire::TokenIds(ids) => Prompt::TokenIds(ids.ids),
        };
        let request = Self {
            prompt,
            sampling: wire.sampling.unwrap_or_default().into(),
            max_tokens: (wire.max_tokens > 0).then_some(wire.max_tokens),
            stop: wire.stop,
            top_logprobs: wire.top_logprobs,
            format: wire.format.unwrap_or_default().try_into()?,
        };
        request.validate()?;
        Ok(request)
    }
}

impl From<ChatRequest> for proto::ChatRequest {
    fn from(request: ChatRequest) -> Self {
        use proto::chat_request::Prompt as Wire;
        let prompt = match request.prompt {
            Prompt::Conversation(conversation) => Wire::Conversation(conversation.into()),
            Prompt::Text(text) => Wire::Text(text),
            Prompt::TokenIds(ids) => Wire::TokenIds(proto::TokenIds { ids }),
        };
        Self {
            prompt: Some(prompt),
            sampling: Some(request.sampling.into()),
            max_tokens: request.max_tokens.unwrap_or(0),
            stop: request.stop,
            top_logprobs: request.top_logprobs,
            format: Some(request.format.into()),
        }
    }
}

impl From<proto::Sampling> for Sampling {
    fn from(wire: proto::Sampling) -> Self {
        Self {
            temperature: wire.temperature,
            top_p: wire.top_p,
            top_k: wire.top_k,
            min_p: wire.min_p,
            seed: wire.seed,
            presence_penalty: wire.presence_penalty,
            frequency_penalty: wire.frequency_penalty,
            repetition_penalty: wire.repetition_penalty,
            logit_bias: wire.logit_bias.into_iter().collect::<BTreeMap<_, _>>(),
        }
    }
}

impl From<Sampling> for proto::Sampling {
    fn from(sampling: Sampling) -> Self {
        Self {
            temperature: sampling.temperature,
            top_p: sampling.top_p,
            top_k: sampling.top_k,
            min_p: sampling.min_p,
            seed: sampling.seed,
            presence_penalty: sampling.presence_penalty,
            frequency_penalty: sampling.frequency_penalty,
            repetition_penalty: sampling.repetition_penalty,
            logit_bias: sampling.logit_bias.into_iter().collect(),
        }
    }
}

impl TryFrom<proto::OutputFormat> for OutputFormat {
    type Error = Invalid;

    fn try_from(wire: proto::OutputFormat) -> Result<Self, Invalid> {
        use proto::output_format::Format;
        Ok(match wire.format {
            None | Some(Format::JsonObject(false)) => OutputFormat::Text,
            Some(Format::JsonObject(true)) => OutputFormat::JsonObject,
            Some(Format::JsonSchema(text)) => OutputFormat::JsonSchema(json(&text, "format.json_schema")?),
        })
    }
}

impl From<OutputFormat> for proto::OutputFormat {
    fn from(format: OutputFormat) -> Self {
        use proto::output_format::Format;
        let format = match format {
            OutputFormat::Text => None,
            OutputFormat::JsonObject => Some(Format::JsonObject(true)),
            OutputFormat::JsonSchema(schema) => Some(Format::JsonSchema(schema.to_string())),
        };
        Self { format }
    }
}
