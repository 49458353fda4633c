//! Whole replies: what a model says, byte by byte, against the events that go out.

use sensorium_contract::{
    ChatMessage, ChatTool, Conversation, OutputFormat, Prompt, Role, Sampling, ToolCall, ToolChoice,
};
use serde_json::{Value, json};

use super::*;
use crate::{
    sampling::Verdict,
    text::fake::{self, STOP},
};

const HERMES: &str = "{% if tools %}<tool_call>\n{\"name\": …, \"arguments\": …}</tool_call>{% endif %}";
const TIGHT: &str = "{{ tools }} {{- ' <tool_call>{\"name\": \"' }}";
const LLAMA: &str = "{{ tools }} <|python_tag|> \"parameters\"";
const MISTRAL: &str = "{{ tools }} [TOOL_CALLS][";
const QWEN_XML: &str = "{{ tools }} <tool_call> <function=";

fn tool(name: &str, parameters: Value, strict: bool) -> ChatTool {
    ChatTool {
        name: name.to_owned(),
        description: None,
        parameters: Some(parameters),
        strict,
    }
}

fn weather() -> ChatTool {
    let schema = json!({ "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] });
    tool("weather", schema, false)
}

fn clock() -> ChatTool {
    ChatTool {
        name: "clock".to_owned(),
        description: None,
        parameters: None,
        strict: false,
    }
}

fn request(tools: Vec<ChatTool>, tool_choice: ToolChoice) -> ChatRequest {
    ChatRequest {
        prompt: Prompt::Conversation(Conversation {
            messages: vec![ChatMessage::text(Role::User, "x")],
            tools,
            tool_choice,
            parallel_tool_calls: true,
        }),
        sampling: Sampling {
            temperature: Some(0.0),
            ..Sampling::default()
        },
        max_tokens: None,
        stop: Vec::new(),
        top_logprobs: None,
        format: OutputFormat::Text,
    }
}

fn replies(template: &str) -> Replies {
    let added = [
        ("<tool_call>", false),
        ("</tool_call>", false),
        ("[TOOL_CALLS]", true),
        ("<image>", true),
    ];
    Replies::new(&fake::byte_level(&[], &added), &[STOP], Some(template)).expect("the tokenizer is good")
}

/// What came of a reply.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    text: String,
    calls: Vec<(String, String)>,
    tokens: u32,
    end: Option<End>,
}

/// The ids of a text, markers as the tokens that they are.
fn ids(replies: &Replies, text: &str) -> Vec<u32> {
    let mut ids = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let markers = ["<tool_call>", "</tool_call>", "[TOOL_CALLS]", "<image>", "<eos>"];
        let marker = markers.iter().find(|marker| rest.starts_with(marker.as_bytes()));
        ids.push(marker.map_or(u32::from(byte), |marker| {
            replies.vocabulary().special(marker).expect("it is there")
        }));
        rest = marker.map_or(after, |marker| &rest[marker.len()..]);
    }
    ids
}

/// Runs a reply of a model that would say `wanted`, then end. Held from that it closes what is open, and for the rest each
/// byte is likelier the lower it is.
async fn run(replies: &Replies, request: &ChatRequest, wanted: &str, max_tokens: usize) -> Outcome {
    let Call { processor, mut reply } = replies
        .start(request, &[1, 2, 3], max_tokens)
        .expect("it can be followed");
    let wanted = ids(replies, wanted);
    let mut outcome = Outcome::default();
    for step in 0..max_tokens + 1 {
        let mut logits: Vec<f32> = (0..300).map(|id| -f32::from(id as u16) / 1000.0).collect();
        logits[usize::from(b'}')] = 2.0;
        logits[usize::from(b'"')] = 1.0;
        logits[*wanted.get(step).unwrap_or(&STOP) as usize] = 9.0;
        processor.next(&mut logits);
        let Some(step) = reply.next().await else { break };
        for event in step.events {
            match event {
                ChatEvent::Delta(delta) => {
                    outcome.text.push_str(&delta.text);
                    outcome.tokens += delta.tokens;
                }
                ChatEvent::ToolCall(ToolCall { name, arguments, .. }) => outcome.calls.push((name, arguments)),
                other => panic!("{other:?}"),
            }
        }
        if step.end.is_some() {
            outcome.end = step.end;
            break;
        }
    }
    assert_eq!(outcome.tokens, reply.tokens());
    outcome
}

/// What a request's reply came to: text, calls, why it ended.
async fn check(
    template: &str,
    request: &ChatRequest,
    wanted: &str,
    text: &str,
    calls: &[(&str, &str)],
    reason: FinishReason,
) {
    let outcome = run(&replies(template), request, wanted, 200).await;
    assert_eq!(outcome.text, text, "{wanted}");
    let found: Vec<(&str, &str)> = outcome
        .calls
        .iter()
        .map(|(name, arguments)| (&**name, &**arguments))
        .collect();
    assert_eq!(found, calls, "{wanted}");
    assert_eq!(outcome.end, Some(End::Finished(reason)), "{wanted}");
}

#[tokio::test]
async fn text_comes_out_whole_and_without_special_tokens() {
    let plain = request(Vec::new(), ToolChoice::Auto);
    check(HERMES, &plain, " a<image> b\n", " a b\n", &[], FinishReason::Stop).await;
    check(HERMES, &plain, "", "", &[], FinishReason::Stop).await;
    check(HERMES, &plain, "<tool_call>x", "<tool_call>x", &[], FinishReason::Stop).await;
    check(HERMES, &plain, "a<eos>b", "a", &[], FinishReason::Stop).await;
    let outcome = run(&replies(HERMES), &plain, "abcdef", 3).await;
    assert_eq!((outcome.text.as_str(), outcome.tokens), ("abc", 3));
    assert_eq!(outcome.end, Some(End::Finished(FinishReason::Length)));
}

#[tokio::test]
async fn stop_strings_end_the_reply_and_are_not_shown() {
    let stop = |stops: &[&str]| ChatRequest {
        stop: stops.iter().map(|&stop| stop.to_owned()).collect(),
        ..request(Vec::new(), ToolChoice::Auto)
    };
    check(
        HERMES,
        &stop(&["END"]),
        "one EN two END three",
        "one EN two ",
        &[],
        FinishReason::Stop,
    )
    .await;
    check(HERMES, &stop(&["END"]), "one EN", "one EN", &[], FinishReason::Stop).await;
    check(HERMES, &stop(&["\n", "b"]), "ab\n", "a", &[], FinishReason::Stop).await;
    let outcome = run(&replies(HERMES), &stop(&["cd"]), "abcdef", 4).await;
    assert_eq!((outcome.text.as_str(), outcome.tokens), ("ab", 4));
    assert_eq!(outcome.end, Some(End::Finished(FinishReason::Stop)));
}

#[tokio::test]
async fn calls_are_found_in_every_format() {
    let auto = request(vec![weather(), clock()], ToolChoice::Auto);
    let city = &[("weather", r#"{"city":"Rome"}"#)][..];
    let both = &[("weather", r#"{"city":"Rome"}"#), ("clock", "{}")][..];
    let done = FinishReason::ToolCalls;
    let hermes = "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Rome\"}}\n</tool_call>";
    let hermes_clock = "\n<tool_call>\n{\"name\": \"clock\", \"arguments\": {}}\n</tool_call>";
    check(HERMES, &auto, hermes, "", city, done).await;
    check(
        HERMES,
        &auto,
        &format!("I look. \n{hermes}{hermes_clock}"),
        "I look.",
        both,
        done,
    )
    .await;
    let tight = " <tool_call>{\"name\": \"weather\", \"arguments\": {\"city\": \"Rome\"}}</tool_call>";
    check(TIGHT, &auto, tight, "", city, done).await;
    check(
        TIGHT,
        &auto,
        &format!("{tight} <tool_call>{{\"name\": \"clock\", \"arguments\": {{}}}}</tool_call>"),
        "",
        both,
        done,
    )
    .await;
    let mistral = "[TOOL_CALLS][{\"name\": \"weather\", \"arguments\": {\"city\": \"Rome\"}}, {\"name\": \"clock\", \"arguments\": {}}]";
    check(MISTRAL, &auto, mistral, "", both, done).await;
    let llama = "{\"name\": \"weather\", \"parameters\": {\"city\": \"Rome\"}}";
    check(LLAMA, &auto, llama, "", city, done).await;
    check(LLAMA, &auto, &format!("<|python_tag|>{llama}"), "", city, done).await;
    let xml = "<tool_call>\n<function=weather>\n<parameter=city>\nRome\n</parameter>\n</function>\n</tool_call>";
    check(QWEN_XML, &auto, xml, "", city, done).await;
}

#[tokio::test]
async fn a_reply_without_a_call_is_text() {
    let auto = request(vec![weather()], ToolChoice::Auto);
    for template in [HERMES, LLAMA, MISTRAL, QWEN_XML] {
        check(template, &auto, "It is warm. ", "It is warm. ", &[], FinishReason::Stop).await;
        check(template, &auto, "{\"a\": 1}", "{\"a\": 1}", &[], FinishReason::Stop).await;
        check(template, &auto, "<tool", "<tool", &[], FinishReason::Stop).await;
    }
    let none = request(vec![weather()], ToolChoice::None);
    check(
        LLAMA,
        &none,
        "{\"name\": \"x\"}",
        "{\"name\": \"x\"}",
        &[],
        FinishReason::Stop,
    )
    .await;
}

/// Once a call begins the model is held to it: what it would say is bent to the nearest that is a call.
#[tokio::test]
async fn a_call_that_has_begun_follows_its_schema() {
    let schema = json!({ "type": "object", "properties": { "n": { "enum": [1, 2] } }, "required": ["n"] });
    let mut auto = request(vec![tool("count", schema, true)], ToolChoice::Auto);
    if let Prompt::Conversation(conversation) = &mut auto.prompt {
        conversation.parallel_tool_calls = false;
    }
    let done = FinishReason::ToolCalls;
    let wrong = "<tool_call>\n{\"name\": \"discount\", \"arguments\": {\"x\": 7}}\n</tool_call>";
    check(HERMES, &auto, wrong, "", &[("count", r#"{"n":1}"#)], done).await;
    check(HERMES, &auto, "<tool_call>oh no", "", &[("count", r#"{"n":1}"#)], done).await;
    check(
        MISTRAL,
        &auto,
        "So: [TOOL_CALLS]oh no",
        "So:",
        &[("count", r#"{"n":1}"#)],
        done,
    )
    .await;
    check(
        LLAMA,
        &auto,
        "{\"name\": 5, \"x\"",
        "",
        &[("count", r#"{"n":1}"#)],
        done,
    )
    .await;
}

#[tokio::test]
async fn a_call_is_made_where_one_is_required() {
    let schema = json!({ "type": "object", "properties": { "n": { "enum": [1, 2] } }, "required": ["n"] });
    let tools = || vec![tool("count", schema.clone(), true), clock()];
    for template in [HERMES, LLAMA, MISTRAL, QWEN_XML] {
        let named = request(tools(), ToolChoice::Named("count".to_owned()));
        check(
            template,
            &named,
            "no!",
            "",
            &[("count", r#"{"n":1}"#)],
            FinishReason::ToolCalls,
        )
        .await;
        let required = request(tools(), ToolChoice::Required);
        let outcome = run(&replies(template), &required, "no!", 400).await;
        assert!(!outcome.calls.is_empty() && outcome.text.is_empty(), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_call_that_is_cut_off_is_not_shown() {
    let auto = request(vec![weather()], ToolChoice::Auto);
    let hermes = "Well. <tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Rome\"}}\n</tool_call>";
    let outcome = run(&replies(HERMES), &auto, hermes, 40).await;
    assert_eq!((outcome.text.as_str(), outcome.calls.len()), ("Well.", 0));
    assert_eq!(outcome.end, Some(End::Finished(FinishReason::Length)));
}

#[tokio::test]
async fn json_ends_by_itself() {
    let schema = json!({ "type": "object", "properties": { "n": { "type": "boolean" } }, "required": ["n"] });
    let json = ChatRequest {
        format: OutputFormat::JsonSchema(schema),
        ..request(Vec::new(), ToolChoice::Auto)
    };
    let outcome = run(&replies(HERMES), &json, "{\"n\": true} and more", 200).await;
    assert_eq!((outcome.text.as_str(), outcome.tokens), ("{\"n\": true}", 11));
    assert_eq!(outcome.end, Some(End::Finished(FinishReason::Stop)));
    // A blank before it is none of it, and white space is no way out.
    let outcome = run(&replies(HERMES), &json, " {\"n\": true}", 200).await;
    assert_eq!((outcome.text.as_str(), outcome.tokens), ("{\"n\": true}", 12));
    let outcome = run(&replies(HERMES), &json, "\n\n\n\n{   \"n\"", 200).await;
    let value: Value = serde_json::from_str(&outcome.text).expect("it is JSON");
    assert!(value["n"].is_boolean());
}

#[tokio::test]
async fn tools_and_json_go_together() {
    let schema = json!({ "type": "object", "properties": { "n": { "type": "boolean" } }, "required": ["n"] });
    let both = ChatRequest {
        format: OutputFormat::JsonSchema(schema),
        ..request(vec![clock()], ToolChoice::Auto)
    };
    let call = "<tool_call>\n{\"name\": \"clock\", \"arguments\": {}}\n</tool_call>";
    check(HERMES, &both, call, "", &[("clock", "{}")], FinishReason::ToolCalls).await;
    check(
        HERMES,
        &both,
        "{\"n\": false}",
        "{\"n\": false}",
        &[],
        FinishReason::Stop,
    )
    .await;
}

#[test]
fn what_cannot_be_followed_is_refused_by_name() {
    let replies = replies(HERMES);
    let schema = |schema: Value| ChatRequest {
        format: OutputFormat::JsonSchema(schema),
        ..request(Vec::new(), ToolChoice::Auto)
    };
    let strict = |schema: Value| request(vec![clock(), tool("t", schema, true)], ToolChoice::Auto);
    let unique = json!({ "type": "object", "properties": { "a": { "type": "array", "uniqueItems": true } } });
    let rows = [
        (
            schema(unique.clone()),
            "format",
            "uniqueItems can't be guaranteed; leave it out at #/properties/a",
        ),
        (
            schema(json!({ "$ref": "https://example.com/x" })),
            "format",
            "outside of the schema",
        ),
        (
            schema(json!({ "type": "string", "pattern": "(?=a)b" })),
            "format",
            "can't be followed",
        ),
        (
            schema(json!({ "type": "integer", "minimum": 3, "maximum": 2 })),
            "format",
            "can't be followed",
        ),
        (
            schema(json!({ "oneOf": [{ "type": "string" }, { "maxLength": 3 }] })),
            "format",
            "options 0 and 1 can both hold",
        ),
        (
            strict(unique.clone()),
            "conversation.tools[1]",
            "the parameters of t can't be followed",
        ),
    ];
    for (request, field, message) in rows {
        let refused = replies.start(&request, &[], 10).err().expect("it is refused");
        assert_eq!(refused.field, field);
        assert!(refused.message.contains(message), "{}", refused.message);
    }
    let lenient = request(vec![tool("t", unique, false)], ToolChoice::Required);
    assert!(replies.start(&lenient, &[], 10).is_ok());
}

#[test]
fn tools_need_a_template_that_knows_them() {
    let replies = replies("{{ messages }}");
    assert!(!replies.can_call_tools());
    let refused = replies
        .start(&request(vec![clock()], ToolChoice::Auto), &[], 10)
        .err()
        .expect("it is refused");
    assert!(refused.message.contains("chat template"));
}

#[tokio::test]
async fn logprobs_go_with_the_text_they_belong_to() {
    let wanted = ChatRequest {
        top_logprobs: Some(2),
        stop: vec!["cd".to_owned()],
        ..request(Vec::new(), ToolChoice::Auto)
    };
    let replies = replies(HERMES);
    let Call { processor, mut reply } = replies.start(&wanted, &[], 20).expect("it can be followed");
    let mut spelt = Vec::new();
    let mut text = String::new();
    for id in ids(&replies, "aé<image>bcdx") {
        let mut logits = vec![0.0; 300];
        logits[id as usize] = 20.0;
        processor.next(&mut logits);
        let Some(step) = reply.next().await else { break };
        for event in step.events {
            let ChatEvent::Delta(delta) = event else {
                panic!("{event:?}")
            };
            text.push_str(&delta.text);
            for logprob in &delta.logprobs {
                assert_eq!((logprob.top.len(), &logprob.top[0]), (2, &logprob.chosen));
                assert!(logprob.chosen.logprob <= 0.0 && logprob.chosen.logprob > -1e-3);
                spelt.extend_from_slice(&logprob.chosen.token);
            }
            assert_eq!(spelt, text.as_bytes());
        }
    }
    assert_eq!(text, "aéb");
}

#[test]
fn dropping_a_reply_ends_it() {
    let replies = replies(HERMES);
    let Call { processor, reply } = replies
        .start(&request(Vec::new(), ToolChoice::Auto), &[], 20)
        .expect("it starts");
    let mut logits = vec![0.0; 300];
    logits[65] = 5.0;
    assert_eq!(processor.next(&mut logits), 65);
    drop(reply);
    assert_eq!(processor.next(&mut logits), STOP);
}

#[tokio::test]
async fn a_model_without_numbers_fails() {
    let replies = replies(HERMES);
    let Call { processor, mut reply } = replies
        .start(&request(Vec::new(), ToolChoice::Auto), &[], 20)
        .expect("it starts");
    assert_eq!(processor.next(&mut [f32::NAN; 300]), STOP);
    let step = reply.next().await.expect("it says so");
    assert!(matches!(step.end, Some(End::Failed(_))));
    assert!(reply.next().await.is_none());
}

#[tokio::test]
async fn an_engine_that_gives_up_ends_the_steps() {
    let replies = replies(HERMES);
    let Call { processor, mut reply } = replies
        .start(&request(Vec::new(), ToolChoice::Auto), &[], 20)
        .expect("it starts");
    drop(processor);
    assert!(reply.next().await.is_none());
}

#[test]
fn a_grammar_that_is_complete_says_so_with_its_last_token() {
    let json = ChatRequest {
        format: OutputFormat::JsonSchema(json!({ "const": 1 })),
        ..request(Vec::new(), ToolChoice::Auto)
    };
    let Call { processor, mut reply } = replies(HERMES).start(&json, &[], 20).expect("it starts");
    let mut logits = [0.0; 300];
    logits[usize::from(b'1')] = 1.0;
    assert_eq!(processor.next(&mut logits), u32::from(b'1'));
    assert_eq!(reply.sampled().map(|sampled| sampled.verdict), Some(Verdict::Completes));
    assert_eq!(processor.next(&mut [0.0; 300]), STOP);
}
