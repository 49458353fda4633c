use sensorium_engine::{Candidate, ChatDelta, ChatFinished, ChatStarted, FinishReason, TokenLogprob, ToolCall};

use super::*;

fn frames(include_usage: bool, logprobs: bool) -> ChatFrames {
    let stamp = Stamp {
        id: "chatcmpl-1".into(),
        object: OBJECT,
        created: 7,
        model: "m".into(),
        system_fingerprint: "fp".into(),
    };
    ChatFrames::new(stamp, 2, include_usage, logprobs)
}

const HEAD: &str = r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":7,"model":"m","system_fingerprint":"fp","choices":"#;

fn say(text: &str) -> Step {
    Step::Event(ChatEvent::Delta(ChatDelta {
        text: text.into(),
        tokens: 1,
        logprobs: Vec::new(),
    }))
}

fn call(name: &str) -> Step {
    Step::Event(ChatEvent::ToolCall(ToolCall {
        id: "c".into(),
        name: name.into(),
        arguments: "{}".into(),
    }))
}

fn finished(reason: FinishReason) -> Step {
    Step::Event(ChatEvent::Finished(ChatFinished {
        reason,
        completion_tokens: 3,
        cached_tokens: 0,
    }))
}

#[test]
fn chunks_are_written_byte_for_byte() {
    let mut frames = frames(false, false);
    for (index, step, expected) in [
        (
            0,
            Step::Started(ChatStarted::default()),
            Some(r#"[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}"#),
        ),
        (0, say(""), None),
        (
            1,
            say("a\n\"ü\""),
            Some(r#"[{"index":1,"delta":{"content":"a\n\"ü\""},"logprobs":null,"finish_reason":null}]}"#),
        ),
        (
            1,
            call("f"),
            Some(concat!(
                r#"[{"index":1,"delta":{"tool_calls":[{"index":0,"id":"c","type":"function","#,
                r#""function":{"name":"f","arguments":"{}"}}]},"logprobs":null,"finish_reason":null}]}"#
            )),
        ),
        (
            1,
            call("g"),
            Some(concat!(
                r#"[{"index":1,"delta":{"tool_calls":[{"index":1,"id":"c","type":"function","#,
                r#""function":{"name":"g","arguments":"{}"}}]},"logprobs":null,"finish_reason":null}]}"#
            )),
        ),
        (
            1,
            finished(FinishReason::ToolCalls),
            Some(r#"[{"index":1,"delta":{},"logprobs":null,"finish_reason":"tool_calls"}]}"#),
        ),
        (
            0,
            finished(FinishReason::Length),
            Some(r#"[{"index":0,"delta":{},"logprobs":null,"finish_reason":"length"}]}"#),
        ),
    ] {
        let expected = expected.map(|rest| format!("{HEAD}{rest}\n\n"));
        let event = frames
            .step(index, step)
            .map(|event| String::from_utf8(event.to_vec()).unwrap());
        assert_eq!(event, expected);
    }
    assert_eq!(frames.end(Usage::default()), None);
}

#[test]
fn usage_is_null_until_the_last_chunk() {
    let mut frames = frames(true, false);
    let event = frames.step(0, finished(FinishReason::Stop)).unwrap();
    let rest = r#"[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}"#;
    assert_eq!(event, format!("{HEAD}{rest}\n\n"));
    let mut usage = Usage::default();
    usage.prompt(5, 2);
    usage.completion(3);
    usage.cached(4);
    let rest = concat!(
        r#"[],"usage":{"prompt_tokens":5,"completion_tokens":3,"total_tokens":8,"#,
        r#""prompt_tokens_details":{"cached_tokens":4,"image_tokens":2},"#,
        r#""completion_tokens_details":{"reasoning_tokens":0}}}"#
    );
    assert_eq!(frames.end(usage).unwrap(), format!("{HEAD}{rest}\n\n"));
}

#[test]
fn logprobs_come_with_their_tokens() {
    let mut frames = frames(false, true);
    let chosen = Candidate {
        id: 1,
        token: b"a".to_vec(),
        logprob: -0.5,
    };
    let delta = ChatDelta {
        text: String::new(),
        tokens: 1,
        logprobs: vec![TokenLogprob {
            chosen,
            top: Vec::new(),
        }],
    };
    let event = frames.step(0, Step::Event(ChatEvent::Delta(delta))).unwrap();
    let rest = concat!(
        r#"[{"index":0,"delta":{"content":""},"logprobs":{"content":[{"token":"a","bytes":[97],"logprob":-0.5,"#,
        r#""top_logprobs":[]}],"refusal":null},"finish_reason":null}]}"#
    );
    assert_eq!(event, format!("{HEAD}{rest}\n\n"));
}
