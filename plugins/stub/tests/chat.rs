//! Replies as the host's end of the socket sees them: called off, refused, broken off, unread.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::time::{Duration, Instant};

use common::{PATIENCE, Stub, bounded};
use sensorium_contract::client::{CallError, ChatCall};
use sensorium_contract::process::ExitCause;
use sensorium_contract::{
    ChatEvent, ChatFinished, ChatMessage, ChatRequest, Conversation, Fault, FinishReason, OutputFormat, Prompt,
    RefusalCode, Role, Sampling, ToolChoice,
};
use serde_json::json;

fn prompt(text: &str) -> ChatRequest {
    ChatRequest {
        prompt: Prompt::Conversation(Conversation {
            messages: vec![ChatMessage::text(Role::User, text)],
            tools: vec![],
            tool_choice: ToolChoice::Auto,
            parallel_tool_calls: true,
        }),
        sampling: Sampling::default(),
        max_tokens: None,
        stop: vec![],
        top_logprobs: None,
        format: OutputFormat::Text,
    }
}

impl Stub {
    async fn chatting(mut options: serde_json::Value) -> Self {
        options["tasks"] = json!(["chat"]);
        Self::loaded(options).await.0
    }

    /// A call whose reply has started.
    async fn call(&self, text: &str) -> ChatCall {
        let mut call = bounded(self.client.chat(prompt(text), None)).await.unwrap();
        let started = bounded(call.next()).await.unwrap();
        assert!(matches!(started, Some(ChatEvent::Started(_))), "{started:?}");
        call
    }
}

/// Text and end of a reply.
async fn whole(mut call: ChatCall) -> Result<(String, ChatFinished), CallError> {
    let mut text = String::new();
    loop {
        match bounded(call.next()).await? {
            Some(ChatEvent::Started(_)) => {}
            Some(ChatEvent::Delta(delta)) => text.push_str(&delta.text),
            Some(ChatEvent::Finished(finished)) => {
                assert_eq!(call.next().await, Ok(None), "nothing comes after the end");
                return Ok((text, finished));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn replies_are_the_same_in_every_process() {
    let mut seen = Vec::new();
    for _ in 0..2 {
        let stub = Stub::chatting(json!({})).await;
        seen.push(whole(stub.call("a red circle").await).await.unwrap());
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0].1.reason, FinishReason::Stop);
}

#[tokio::test]
async fn a_dropped_reply_ends_in_the_plugin_and_gives_its_place_to_the_next() {
    let stub = Stub::chatting(json!({"max_batch": 1, "chat": {"token_latency": "5ms"}})).await;
    let call = stub.call("stub:say:4000").await;
    assert_eq!(bounded(stub.client.health()).await.unwrap().kv_usage, Some(1.0));
    // One more than there are places: it waits for the one that is called off.
    let client = stub.client.clone();
    let next = tokio::spawn(async move { client.chat(prompt("next"), None).await });
    tokio::task::yield_now().await;
    drop(call);
    whole(bounded(next).await.unwrap().unwrap()).await.unwrap();
    stub.until_running(0).await;
    assert_eq!(bounded(stub.client.health()).await.unwrap().kv_usage, Some(0.0));
}

#[tokio::test]
async fn the_deadline_ends_the_reply_on_both_ends() {
    let stub = Stub::chatting(json!({"chat": {"token_latency": "5ms"}})).await;
    for text in ["stub:say:4000", "stub:sleep:1h"] {
        let deadline = Some(Instant::now() + Duration::from_millis(100));
        let call = bounded(stub.client.chat(prompt(text), deadline)).await.unwrap();
        assert_eq!(whole(call).await.unwrap_err(), CallError::Deadline);
        stub.until_running(0).await;
    }
    let past = stub.client.chat(prompt("late"), Some(Instant::now())).await;
    assert_eq!(past.unwrap_err(), CallError::Deadline);
}

#[tokio::test]
async fn a_refusal_is_the_whole_reply() {
    let stub = Stub::chatting(json!({"chat": {"context_length": 20}})).await;
    let long = "word ".repeat(20);
    for (text, code) in [
        (long.as_str(), RefusalCode::ContextLength),
        ("stub:refuse", RefusalCode::InvalidInput),
        ("stub:refuse:schema", RefusalCode::Schema),
    ] {
        let mut call = bounded(stub.client.chat(prompt(text), None)).await.unwrap();
        match bounded(call.next()).await {
            Ok(Some(ChatEvent::Refused(refused))) => assert_eq!(refused.code, code),
            other => panic!("{text}: {other:?}"),
        }
        assert_eq!(call.next().await, Ok(None));
    }
}

#[tokio::test]
async fn what_breaks_off_a_reply_has_its_fault() {
    let stub = Stub::chatting(json!({})).await;
    for (text, fault) in [
        ("stub:error", Fault::Instance),
        ("stub:error:caller@1", Fault::Caller),
        ("stub:error:model@2", Fault::Model),
        ("stub:panic@1", Fault::Instance),
        ("stub:drop@1", Fault::Instance),
        ("stub:refuse@1", Fault::Instance),
    ] {
        let call = bounded(stub.client.chat(prompt(text), None)).await.unwrap();
        assert_eq!(whole(call).await.unwrap_err().fault(), Some(fault), "{text}");
        whole(stub.call("good").await).await.unwrap();
    }
    for (text, cause) in [
        ("stub:die:SIGSEGV@3", ExitCause::Signal(11)),
        ("stub:abort", ExitCause::Signal(6)),
    ] {
        let stub = Stub::chatting(json!({})).await;
        let call = bounded(stub.client.chat(prompt(text), None)).await;
        let error = match call {
            Ok(call) => whole(call).await.unwrap_err(),
            Err(error) => error,
        };
        assert!(matches!(error, CallError::Transport(_)), "{text}: {error:?}");
        assert_eq!(stub.exited().await, cause);
    }
}

#[tokio::test]
async fn a_hang_stops_every_reply_and_leaves_health_alive() {
    let stub = Stub::chatting(json!({"chat": {"token_latency": "1ms"}})).await;
    let mut other = stub.call("stub:say:4000").await;
    let _hung = bounded(stub.client.chat(prompt("stub:hang"), None)).await.unwrap();
    let stands = async {
        let mut progress = 0;
        while progress != stub.client.health().await.unwrap().progress {
            progress = stub.client.health().await.unwrap().progress;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    bounded(async {
        tokio::select! {
            () = stands => {}
            () = async { while other.next().await.is_ok() {} } => panic!("the other reply ended"),
        }
    })
    .await;
    assert_eq!(bounded(stub.client.health()).await.unwrap().running, 2);
    stub.process.kill();
    stub.exited().await;
}

#[tokio::test]
async fn what_is_not_read_is_made_no_further_and_is_no_stall() {
    let stub = Stub::chatting(json!({"chat": {"context_length": 1_000_000}})).await;
    const TOKENS: usize = 60_000;
    let unread = stub.call(&format!("stub:say:{TOKENS}")).await;
    let mut last = 0;
    let (mut steps, mut progress) = (Vec::new(), 0);
    // Once all buffers are full only the passing of time is reported.
    while steps.len() < 3 || steps.iter().rev().take(3).any(|step| *step > 4) {
        tokio::time::sleep(Duration::from_millis(700)).await;
        progress = bounded(stub.client.health()).await.unwrap().progress;
        steps.push(progress - last);
        last = progress;
    }
    assert!(progress < TOKENS as u64, "{progress} tokens were made for nobody");
    assert!(
        steps.iter().rev().take(3).all(|step| *step > 0),
        "it looks like a stall: {steps:?}"
    );
    whole(stub.call("another").await).await.unwrap();
    let (text, _) = whole(unread).await.unwrap();
    assert_eq!(text.split(' ').count(), TOKENS);
}

#[tokio::test]
async fn stopping_lets_replies_finish_and_takes_nothing_new() {
    for by_signal in [false, true] {
        let stub = Stub::chatting(json!({"chat": {"token_latency": "5ms"}})).await;
        let call = stub.call("stub:say:100").await;
        if by_signal {
            stub.process.terminate();
        } else {
            stub.client.stop(PATIENCE).await.unwrap();
        }
        stub.until_logged("stopping").await;
        let new = bounded(stub.client.chat(prompt("new"), None)).await;
        assert_eq!(new.unwrap_err().fault(), Some(Fault::Instance));
        assert_eq!(whole(call).await.unwrap().1.completion_tokens, 101);
        assert_eq!(stub.exited().await, ExitCause::Status(0));
    }
}

#[tokio::test]
async fn prompts_over_the_message_limit_are_the_callers_fault_and_never_sent() {
    let mut launch = common::launch();
    launch.limits.max_message_bytes = 64 << 10;
    let stub = Stub::launched(launch).await;
    stub.client
        .load(&common::request(json!({"tasks": ["chat"]})), |_| {})
        .await
        .unwrap();
    let error = stub.client.chat(prompt(&"x".repeat(65 << 10)), None).await.unwrap_err();
    assert_eq!(error.fault(), Some(Fault::Caller), "{error}");
    whole(stub.call("small").await).await.unwrap();
}
