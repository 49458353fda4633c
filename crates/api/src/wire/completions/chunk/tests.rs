use std::sync::Arc;

use sensorium_engine::{Candidate, ChatDelta, ChatFinished, ChatStarted, FinishReason, TokenLogprob};

use super::*;
use crate::wire::completions::reply::OBJECT;

const HEAD: &str =
    r#"data: {"id":"cmpl-1","object":"text_completion","created":7,"model":"m","system_fingerprint":"fp","choices":"#;

fn frames(echo: &[&str], include_usage: bool, logprobs: bool) -> CompletionFrames {
    let stamp = Stamp {
        id: "cmpl-1".into(),
        object: OBJECT,
        created: 7,
        model: "m".into(),
        system_fingerprint: "fp".into(),
    };
    let style = Style {
        echo: echo.iter().map(|text| Arc::from(*text)).collect(),
        each: 2,
        logprobs,
    };
    CompletionFrames::new(stamp, 4, include_usage, style)
}

fn delta(text: &str) -> Step {
    let chosen = Candidate {
        id: 1,
        token: text.as_bytes().to_vec(),
        logprob: -0.5,
    };
    let top = Vec::new();
    Step::Event(ChatEvent::Delta(ChatDelta {
        text: text.into(),
        tokens: 1,
        logprobs: vec![TokenLogprob { chosen, top }],
    }))
}

fn written(event: Option<Bytes>) -> Option<String> {
    event.map(|event| String::from_utf8(event.to_vec()).unwrap())
}

#[test]
fn chunks_are_written_byte_for_byte() {
    let mut frames = frames(&[], false, false);
    assert_eq!(frames.step(0, Step::Started(ChatStarted::default())), None);
    let rest = r#"[{"text":" a","index":3,"logprobs":null,"finish_reason":null}]}"#;
    assert_eq!(written(frames.step(3, delta(" a"))), Some(format!("{HEAD}{rest}\n\n")));
    let finished = ChatFinished {
        reason: FinishReason::Length,
        completion_tokens: 1,
        cached_tokens: 0,
    };
    let rest = r#"[{"text":"","index":3,"logprobs":null,"finish_reason":"length"}]}"#;
    let event = frames.step(3, Step::Event(ChatEvent::Finished(finished)));
    assert_eq!(written(event), Some(format!("{HEAD}{rest}\n\n")));
    assert_eq!(frames.end(Usage::default()), None);
}

#[test]
fn an_echo_comes_first() {
    let mut frames = frames(&["one", "zwö"], false, true);
    let rest = r#"[{"text":"zwö","index":2,"logprobs":null,"finish_reason":null}]}"#;
    let event = frames.step(2, Step::Started(ChatStarted::default()));
    assert_eq!(written(event), Some(format!("{HEAD}{rest}\n\n")));
    for (text, offset) in [("ü", 3), ("b", 4)] {
        let event = written(frames.step(2, delta(text))).unwrap();
        assert!(event.contains(&format!(r#""text_offset":[{offset}]"#)), "{event}");
    }
}

#[test]
fn usage_is_null_until_the_last_chunk() {
    let mut frames = frames(&[], true, false);
    let event = written(frames.step(0, delta("a"))).unwrap();
    assert!(event.ends_with("\"usage\":null}\n\n"), "{event}");
    let event = written(frames.end(Usage::default())).unwrap();
    assert!(
        event.starts_with(&format!("{HEAD}[],\"usage\":{{\"prompt_tokens\":0")),
        "{event}"
    );
}
