//! Round trips, and what neither side may say.

use super::{chat_event_from_wire, check_request};
use crate::{
    Candidate, ChatCapabilities, ChatDelta, ChatEvent, ChatFinished, ChatParameter, ChatRequest, ChatStarted,
    FinishReason, ImageSpec, RefusalCode, Refused, ResizeMode, TokenLogprob, ToolCall, proto,
};

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
