//! The chat task's requests and events, on the wire and off it.

use std::collections::BTreeMap;

use super::{known, required, unknown};
use crate::{
    Candidate, ChatCapabilities, ChatDelta, ChatEvent, ChatFinished, ChatMessage, ChatParameter, ChatPart, ChatRequest,
    ChatStarted, ChatTool, Conversation, FinishReason, ImageSpec, Invalid, OutputFormat, Prompt, RefusalCode, Refused,
    ResizeMode, Role, Sampling, TokenLogprob, ToolCall, ToolChoice, proto,
};

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

impl TryFrom<proto::Conversation> for Conversation {
    type Error = Invalid;

    fn try_from(wire: proto::Conversation) -> Result<Self, Invalid> {
        Ok(Self {
            messages: wire
                .messages
                .into_iter()
                .map(TryInto::try_into)
                .collect::<Result<_, _>>()?,
            tools: wire
                .tools
                .into_iter()
                .map(TryInto::try_into)
                .collect::<Result<_, _>>()?,
            tool_choice: wire.tool_choice.unwrap_or_default().try_into()?,
            parallel_tool_calls: wire.parallel_tool_calls,
        })
    }
}

impl From<Conversation> for proto::Conversation {
    fn from(conversation: Conversation) -> Self {
        Self {
            messages: conversation.messages.into_iter().map(Into::into).collect(),
            tools: conversation.tools.into_iter().map(Into::into).collect(),
            tool_choice: Some(conversation.tool_choice.into()),
            parallel_tool_calls: conversation.parallel_tool_calls,
        }
    }
}

impl TryFrom<proto::ChatMessage> for ChatMessage {
    type Error = Invalid;

    fn try_from(wire: proto::ChatMessage) -> Result<Self, Invalid> {
        Ok(Self {
            role: role(wire.role)?,
            parts: wire.parts.into_iter().map(part).collect::<Result<_, _>>()?,
            tool_calls: wire.tool_calls.into_iter().map(Into::into).collect(),
            tool_call_id: (!wire.tool_call_id.is_empty()).then_some(wire.tool_call_id),
            name: (!wire.name.is_empty()).then_some(wire.name),
        })
    }
}

impl From<ChatMessage> for proto::ChatMessage {
    fn from(message: ChatMessage) -> Self {
        use proto::chat_part::Part as Wire;
        let part = |part| match part {
            ChatPart::Text(text) => Wire::Text(text),
            ChatPart::Image(image) => Wire::Image(image.into()),
        };
        let parts = message
            .parts
            .into_iter()
            .map(|one| proto::ChatPart { part: Some(part(one)) });
        Self {
            role: proto::Role::from(message.role).into(),
            parts: parts.collect(),
            tool_calls: message.tool_calls.into_iter().map(Into::into).collect(),
            tool_call_id: message.tool_call_id.unwrap_or_default(),
            name: message.name.unwrap_or_default(),
        }
    }
}

fn part(wire: proto::ChatPart) -> Result<ChatPart, Invalid> {
    use proto::chat_part::Part as Wire;
    Ok(match required(wire.part, "part")? {
        Wire::Text(text) => ChatPart::Text(text),
        Wire::Image(image) => ChatPart::Image(image.try_into()?),
    })
}

fn role(number: i32) -> Result<Role, Invalid> {
    match known(number, "role")? {
        proto::Role::System => Ok(Role::System),
        proto::Role::Developer => Ok(Role::Developer),
        proto::Role::User => Ok(Role::User),
        proto::Role::Assistant => Ok(Role::Assistant),
        proto::Role::Tool => Ok(Role::Tool),
        proto::Role::Unspecified => Err(unknown(number, "role")),
    }
}

impl From<Role> for proto::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::System => Self::System,
            Role::Developer => Self::Developer,
            Role::User => Self::User,
            Role::Assistant => Self::Assistant,
            Role::Tool => Self::Tool,
        }
    }
}

impl TryFrom<proto::ChatTool> for ChatTool {
    type Error = Invalid;

    fn try_from(wire: proto::ChatTool) -> Result<Self, Invalid> {
        let parameters = match wire.parameters.as_str() {
            "" => None,
            text => Some(json(text, "tools.parameters")?),
        };
        Ok(Self {
            name: wire.name,
            description: (!wire.description.is_empty()).then_some(wire.description),
            parameters,
            strict: wire.strict,
        })
    }
}

impl From<ChatTool> for proto::ChatTool {
    fn from(tool: ChatTool) -> Self {
        Self {
            name: tool.name,
            description: tool.description.unwrap_or_default(),
            parameters: tool.parameters.map(|schema| schema.to_string()).unwrap_or_default(),
            strict: tool.strict,
        }
    }
}

impl From<proto::ToolCall> for ToolCall {
    fn from(wire: proto::ToolCall) -> Self {
        Self {
            id: wire.id,
            name: wire.name,
            arguments: wire.arguments,
        }
    }
}

impl From<ToolCall> for proto::ToolCall {
    fn from(call: ToolCall) -> Self {
        Self {
            id: call.id,
            name: call.name,
            arguments: call.arguments,
        }
    }
}

impl TryFrom<proto::ToolChoice> for ToolChoice {
    type Error = Invalid;

    fn try_from(wire: proto::ToolChoice) -> Result<Self, Invalid> {
        use proto::tool_choice::Choice;
        match wire.choice {
            None => Ok(ToolChoice::Auto),
            Some(Choice::Name(name)) => Ok(ToolChoice::Named(name)),
            Some(Choice::Mode(mode)) => match known(mode, "tool_choice.mode")? {
                proto::ToolMode::Auto => Ok(ToolChoice::Auto),
                proto::ToolMode::None => Ok(ToolChoice::None),
                proto::ToolMode::Required => Ok(ToolChoice::Required),
                proto::ToolMode::Unspecified => Err(unknown(mode, "tool_choice.mode")),
            },
        }
    }
}

impl From<ToolChoice> for proto::ToolChoice {
    fn from(choice: ToolChoice) -> Self {
        use proto::tool_choice::Choice;
        let mode = |mode: proto::ToolMode| Choice::Mode(mode.into());
        let choice = match choice {
            ToolChoice::Auto => mode(proto::ToolMode::Auto),
            ToolChoice::None => mode(proto::ToolMode::None),
            ToolChoice::Required => mode(proto::ToolMode::Required),
            ToolChoice::Named(name) => Choice::Name(name),
        };
        Self { choice: Some(choice) }
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

fn json(text: &str, field: &'static str) -> Result<serde_json::Value, Invalid> {
    serde_json::from_str(text).map_err(|error| Invalid::new(field, format!("is not JSON: {error}")))
}

/// An event, or `None` for one that a later minor version has added.
pub(crate) fn chat_event_from_wire(wire: proto::ChatEvent) -> Result<Option<ChatEvent>, Invalid> {
    use proto::chat_event::Event;
    let Some(event) = wire.event else { return Ok(None) };
    Ok(Some(match event {
        Event::Started(started) => ChatEvent::Started(ChatStarted {
            prompt_tokens: started.prompt_tokens,
            image_tokens: started.image_tokens,
        }),
        Event::Delta(delta) => ChatEvent::Delta(delta.try_into()?),
        Event::ToolCall(call) => ChatEvent::ToolCall(call.into()),
        Event::Finished(finished) => ChatEvent::Finished(finished.try_into()?),
        Event::Refused(refused) => ChatEvent::Refused(refused.try_into()?),
    }))
}

impl From<ChatEvent> for proto::ChatEvent {
    fn from(event: ChatEvent) -> Self {
        use proto::chat_event::Event;
        let event = match event {
            ChatEvent::Started(started) => Event::Started(proto::ChatStarted {
                prompt_tokens: started.prompt_tokens,
                image_tokens: started.image_tokens,
            }),
            ChatEvent::Delta(delta) => Event::Delta(delta.into()),
            ChatEvent::ToolCall(call) => Event::ToolCall(call.into()),
            ChatEvent::Finished(finished) => Event::Finished(finished.into()),
            ChatEvent::Refused(refused) => Event::Refused(refused.into()),
        };
        Self { event: Some(event) }
    }
}

impl TryFrom<proto::ChatDelta> for ChatDelta {
    type Error = Invalid;

    fn try_from(wire: proto::ChatDelta) -> Result<Self, Invalid> {
        Ok(Self {
            text: wire.text,
            tokens: wire.tokens,
            logprobs: wire.logprobs.into_iter().map(logprob).collect::<Result<_, _>>()?,
        })
    }
}

impl From<ChatDelta> for proto::ChatDelta {
    fn from(delta: ChatDelta) -> Self {
        let logprob = |one: TokenLogprob| proto::TokenLogprob {
            chosen: Some(one.chosen.into()),
            top: one.top.into_iter().map(Into::into).collect(),
        };
        Self {
            text: delta.text,
            tokens: delta.tokens,
            logprobs: delta.logprobs.into_iter().map(logprob).collect(),
        }
    }
}

fn logprob(wire: proto::TokenLogprob) -> Result<TokenLogprob, Invalid> {
    Ok(TokenLogprob {
        chosen: required(wire.chosen, "logprobs.chosen")?.try_into()?,
        top: wire.top.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
    })
}

impl TryFrom<proto::Candidate> for Candidate {
    type Error = Invalid;

    fn try_from(wire: proto::Candidate) -> Result<Self, Invalid> {
        let candidate = Self {
            id: wire.id,
            token: wire.token,
            logprob: wire.logprob,
        };
        candidate.validate()?;
        Ok(candidate)
    }
}

impl From<Candidate> for proto::Candidate {
    fn from(candidate: Candidate) -> Self {
        Self {
            id: candidate.id,
            token: candidate.token,
            logprob: candidate.logprob,
        }
    }
}

impl TryFrom<proto::ChatFinished> for ChatFinished {
    type Error = Invalid;

    fn try_from(wire: proto::ChatFinished) -> Result<Self, Invalid> {
        let reason = match known(wire.reason, "finished.reason")? {
            proto::FinishReason::Stop => FinishReason::Stop,
            proto::FinishReason::Length => FinishReason::Length,
            proto::FinishReason::ToolCalls => FinishReason::ToolCalls,
            proto::FinishReason::Unspecified => return Err(unknown(wire.reason, "finished.reason")),
        };
        Ok(Self {
            reason,
            completion_tokens: wire.completion_tokens,
            cached_tokens: wire.cached_tokens,
        })
    }
}

impl From<ChatFinished> for proto::ChatFinished {
    fn from(finished: ChatFinished) -> Self {
        let reason = match finished.reason {
            FinishReason::Stop => proto::FinishReason::Stop,
            FinishReason::Length => proto::FinishReason::Length,
            FinishReason::ToolCalls => proto::FinishReason::ToolCalls,
        };
        Self {
            reason: reason.into(),
            completion_tokens: finished.completion_tokens,
            cached_tokens: finished.cached_tokens,
        }
    }
}

impl TryFrom<proto::ChatRefused> for Refused {
    type Error = Invalid;

    fn try_from(wire: proto::ChatRefused) -> Result<Self, Invalid> {
        let code = match known(wire.code, "refused.code")? {
            proto::RefusalCode::InvalidInput => RefusalCode::InvalidInput,
            proto::RefusalCode::ContextLength => RefusalCode::ContextLength,
            proto::RefusalCode::Schema => RefusalCode::Schema,
            proto::RefusalCode::Unspecified => return Err(unknown(wire.code, "refused.code")),
        };
        Ok(Self {
            code,
            message: wire.message,
            field: wire.field,
        })
    }
}

impl From<Refused> for proto::ChatRefused {
    fn from(refused: Refused) -> Self {
        let code = match refused.code {
            RefusalCode::InvalidInput => proto::RefusalCode::InvalidInput,
            RefusalCode::ContextLength => proto::RefusalCode::ContextLength,
            RefusalCode::Schema => proto::RefusalCode::Schema,
        };
        Self {
            code: code.into(),
            message: refused.message,
            field: refused.field,
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn wire() -> proto::ChatRequest {
        use proto::chat_part::Part;
        let image = proto::Image {
            width: 2,
            height: 1,
            rgb: vec![1, 2, 3, 4, 5, 6].into(),
        };
        let part = |part| proto::ChatPart { part: Some(part) };
        let message = |role: i32, parts| proto::ChatMessage {
            role,
            parts,
            ..Default::default()
        };
        let call = proto::ToolCall {
            id: "call_1".into(),
            name: "look".into(),
            arguments: "{}".into(),
        };
        proto::ChatRequest {
            prompt: Some(proto::chat_request::Prompt::Conversation(proto::Conversation {
                messages: vec![
                    message(1, vec![part(Part::Text("be brief".into()))]),
                    message(
                        3,
                        vec![part(Part::Image(image)), part(Part::Text("what is it?".into()))],
                    ),
                    proto::ChatMessage {
                        tool_calls: vec![call],
                        ..message(4, Vec::new())
                    },
                    proto::ChatMessage {
                        tool_call_id: "call_1".into(),
                        name: "look".into(),
                        ..message(5, vec![part(Part::Text("a star".into()))])
                    },
                ],
                tools: vec![proto::ChatTool {
                    name: "look".into(),
                    description: "looks".into(),
                    parameters: r#"{"type":"object"}"#.into(),
                    strict: true,
                }],
                tool_choice: Some(proto::ToolChoice {
                    choice: Some(proto::tool_choice::Choice::Name("look".into())),
                }),
                parallel_tool_calls: true,
            })),
            sampling: Some(proto::Sampling {
                temperature: Some(0.5),
                top_p: Some(0.9),
                top_k: Some(40),
                min_p: Some(0.1),
                seed: u64::MAX,
                presence_penalty: Some(1.0),
                frequency_penalty: Some(-1.0),
                repetition_penalty: Some(1.1),
                logit_bias: [(7, -100.0), (8, 1.5)].into(),
            }),
            max_tokens: 10,
            stop: vec!["\n".into()],
            top_logprobs: Some(0),
            format: Some(proto::OutputFormat {
                format: Some(proto::output_format::Format::JsonSchema(r#"{"type":"object"}"#.into())),
            }),
        }
    }

    fn capabilities() -> ChatCapabilities {
        use ChatParameter as P;
        ChatCapabilities {
            context_length: 100,
            parameters: vec![
                P::Temperature,
                P::TopP,
                P::TopK,
                P::MinP,
                P::Seed,
                P::PresencePenalty,
                P::FrequencyPenalty,
                P::RepetitionPenalty,
                P::LogitBias,
                P::Logprobs,
                P::Tools,
                P::JsonObject,
                P::JsonSchema,
                P::Conversation,
            ],
            images: Some(crate::ChatImages {
                spec: ImageSpec {
                    width: 4,
                    height: 4,
                    mode: ResizeMode::Fit,
                    filter: crate::Filter::Bicubic,
                },
                max_images: 1,
                min_side: 1,
            }),
            vocabulary: 16,
            max_top_logprobs: 5,
        }
    }

    #[test]
    fn a_request_survives_the_round_trip() {
        let request = ChatRequest::try_from(wire()).unwrap();
        assert_eq!(request.images().count(), 1);
        assert_eq!(proto::ChatRequest::from(request), wire());
    }

    #[test]
    fn events_survive_the_round_trip() {
        let candidate = Candidate {
            id: 3,
            token: vec![0xe2, 0x82],
            logprob: -0.5,
        };
        let logprob = TokenLogprob {
            chosen: candidate.clone(),
            top: vec![candidate],
        };
        for event in [
            ChatEvent::Started(ChatStarted {
                prompt_tokens: 9,
                image_tokens: 4,
            }),
            ChatEvent::Delta(ChatDelta {
                text: "é".into(),
                tokens: 2,
                logprobs: vec![logprob],
            }),
            ChatEvent::ToolCall(ToolCall {
                id: "call_1".into(),
                name: "look".into(),
                arguments: "{}".into(),
            }),
            ChatEvent::Finished(ChatFinished {
                reason: FinishReason::ToolCalls,
                completion_tokens: 2,
                cached_tokens: 1,
            }),
            ChatEvent::Refused(Refused {
                code: RefusalCode::ContextLength,
                message: "too long".into(),
                field: "max_tokens".into(),
            }),
        ] {
            assert_eq!(chat_event_from_wire(event.clone().into()), Ok(Some(event)));
        }
    }

    #[test]
    fn refuses_what_breaks_the_contract() {
        let check = |field: &str, spoil: fn(&mut proto::ChatRequest)| {
            let mut message = wire();
            spoil(&mut message);
            assert_eq!(ChatRequest::try_from(message).unwrap_err().field, field);
        };
        fn conversation(request: &mut proto::ChatRequest) -> &mut proto::Conversation {
            match &mut request.prompt {
                Some(proto::chat_request::Prompt::Conversation(conversation)) => conversation,
                _ => panic!("no conversation"),
            }
        }
        fn sampling(request: &mut proto::ChatRequest) -> &mut proto::Sampling {
            request.sampling.as_mut().unwrap()
        }
        check("prompt", |m| m.prompt = None);
        check("messages", |m| conversation(m).messages.clear());
        check("role", |m| conversation(m).messages[0].role = 9);
        check("part", |m| conversation(m).messages[0].parts[0].part = None);
        check("tools", |m| conversation(m).tools[0].name.clear());
        check("tools.parameters", |m| conversation(m).tools[0].parameters = "{".into());
        check("tool_choice", |m| conversation(m).tools[0].name = "other".into());
        check("stop", |m| m.stop.push(String::new()));
        check("format.json_schema", |m| {
            m.format.as_mut().unwrap().format = Some(proto::output_format::Format::JsonSchema("nonsense".into()))
        });
        check("sampling.temperature", |m| sampling(m).temperature = Some(f32::NAN));
        check("sampling.top_p", |m| sampling(m).top_p = Some(0.0));
        check("sampling.top_k", |m| sampling(m).top_k = Some(0));
        check("sampling.min_p", |m| sampling(m).min_p = Some(1.5));
        check("sampling.repetition_penalty", |m| {
            sampling(m).repetition_penalty = Some(0.0)
        });
        check("sampling.logit_bias", |m| {
            sampling(m).logit_bias.insert(1, 101.0);
        });
    }

    #[test]
    fn refuses_what_the_model_has_not_listed() {
        let request = || ChatRequest::try_from(wire()).unwrap();
        assert_eq!(check_request(&request(), &capabilities()), Ok(()));
        let check = |field: &str, spoil: fn(&mut ChatCapabilities)| {
            let mut chat = capabilities();
            spoil(&mut chat);
            assert_eq!(check_request(&request(), &chat).unwrap_err().field, field);
        };
        check("conversation", |c| {
            c.parameters.retain(|p| *p != ChatParameter::Conversation)
        });
        check("tools", |c| c.parameters.retain(|p| *p != ChatParameter::Tools));
        check("sampling.top_p", |c| c.parameters.retain(|p| *p != ChatParameter::TopP));
        check("format", |c| c.parameters.retain(|p| *p != ChatParameter::JsonSchema));
        check("token_ids", |c| c.vocabulary = 8);
        check("image", |c| c.images = None);
        check("image", |c| c.images.as_mut().unwrap().spec.width = 1);
    }
}
