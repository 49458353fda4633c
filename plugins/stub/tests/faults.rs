//! Everything that can go wrong in a plugin, seen from the host.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use common::{Stub, bounded, exists, request};
use sensorium_contract::client::CallError;
use sensorium_contract::process::ExitCause;
use sensorium_contract::{EmbedInput, Fault, ItemErrorCode, LoadState, PluginError};
use serde_json::json;

#[tokio::test]
async fn a_crash_breaks_the_call_and_says_which_signal() {
    for (text, cause) in [
        ("stub:die:SIGSEGV", ExitCause::Signal(11)),
        ("stub:die:SIGKILL", ExitCause::Signal(9)),
        ("stub:abort", ExitCause::Signal(6)),
        ("stub:exit:3", ExitCause::Status(3)),
    ] {
        let (stub, _) = Stub::loaded(json!({})).await;
        let pid = stub.process.pid().unwrap();
        let error = stub.embed(&[text]).await.unwrap_err();
        assert!(matches!(error, CallError::Transport(_)), "{text}: {error}");
        assert_eq!(error.fault(), Some(Fault::Instance));
        assert_eq!(stub.exited().await, cause, "{text}");
        assert_eq!(stub.process.pid(), None);
        assert!(!exists(pid), "{text}: it is a zombie");
        assert!(
            matches!(stub.embed(&["again"]).await, Err(CallError::Transport(_))),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_hang_leaves_health_alive_and_is_ended_by_kill() {
    let (stub, _) = Stub::loaded(json!({})).await;
    let call = stub.begin("stub:hang").await;
    let health = stub.client.health().await.unwrap();
    assert_eq!((health.state, health.running), (LoadState::Loaded, 1));
    stub.process.kill();
    assert_eq!(stub.exited().await, ExitCause::Signal(9));
    assert!(matches!(bounded(call).await.unwrap(), Err(CallError::Transport(_))));
}

#[tokio::test]
async fn dropping_a_process_kills_and_reaps_it() {
    let (stub, _) = Stub::loaded(json!({})).await;
    let _call = stub.begin("stub:hang").await;
    let (pid, exited) = (stub.process.pid().unwrap(), stub.process.exited());
    drop(stub.process);
    assert_eq!(bounded(exited).await, ExitCause::Signal(9));
    assert!(!exists(pid));
}

#[tokio::test]
async fn when_the_host_dies_even_a_hung_plugin_ends() {
    let (stub, _) = Stub::loaded(json!({})).await;
    let _call = stub.begin("stub:hang").await;
    stub.process.close_stdin();
    stub.exited().await;
}

#[tokio::test]
async fn errors_keep_their_fault_and_the_process() {
    let (stub, _) = Stub::loaded(json!({})).await;
    for (text, fault) in [
        ("stub:error", Fault::Instance),
        ("stub:error:caller", Fault::Caller),
        ("stub:error:model", Fault::Model),
        ("stub:panic", Fault::Instance),
    ] {
        match stub.embed(&["good", text]).await {
            Err(CallError::Plugin(error)) => assert_eq!(error.fault, fault, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
        assert!(stub.embed(&["good"]).await.is_ok(), "after {text}");
    }
    stub.until_logged("told to panic").await;
}

#[tokio::test]
async fn one_bad_input_leaves_its_neighbours_alone() {
    let (stub, _) = Stub::loaded(json!({})).await;
    let results = stub.embed(&["a", "stub:error:item", "b"]).await.unwrap();
    assert!(results[0].is_ok() && results[2].is_ok());
    assert_eq!(results[1].as_ref().unwrap_err().code, ItemErrorCode::InvalidInput);
}

#[tokio::test]
async fn a_poisoned_instance_fails_every_call_but_lives() {
    let (stub, _) = Stub::loaded(json!({})).await;
    for text in ["stub:poison", "good", "good"] {
        assert_eq!(stub.embed(&[text]).await.unwrap_err().fault(), Some(Fault::Instance));
    }
    assert!(stub.process.pid().is_some());
}

#[tokio::test]
async fn memory_grows_on_request_and_comes_back_with_the_process() {
    let (stub, _) = Stub::loaded(json!({})).await;
    assert!(stub.embed(&["stub:grow:32MiB"]).await.is_ok());
    assert_eq!(bounded(stub.process.stop(common::PATIENCE)).await, ExitCause::Status(0));
}

#[tokio::test]
async fn misbehaviour_needs_permission() {
    let stub = Stub::started().await;
    let mut load = request(json!({}));
    load.options.insert("allow_misbehaviour".into(), false.into());
    stub.client.load(&load, |_| {}).await.unwrap();
    assert!(
        stub.embed(&["stub:die:SIGKILL", "stub:error"])
            .await
            .unwrap()
            .iter()
            .all(Result::is_ok)
    );
}

#[tokio::test]
async fn loading_fails_with_the_right_fault_and_the_process_can_tell() {
    for (options, fault) in [
        (json!({"misbehave_on_load": "error:model"}), Fault::Model),
        (json!({"misbehave_on_load": "error"}), Fault::Instance),
        (json!({"misbehave_on_load": "panic"}), Fault::Instance),
        (json!({"width": 0}), Fault::Instance),
        (json!({"no_such_option": 1}), Fault::Caller),
    ] {
        let stub = Stub::started().await;
        let error = bounded(stub.client.load(&request(options.clone()), |_| {}))
            .await
            .unwrap_err();
        assert!(
            matches!(&error, CallError::Plugin(e) if e.fault == fault),
            "{options}: {error:?}"
        );
        assert_eq!(stub.client.health().await.unwrap().state, LoadState::Failed);
        let refused = stub.embed(&["x"]).await.unwrap_err();
        assert_eq!(refused.fault(), Some(Fault::Model), "{refused}");
    }
}

#[tokio::test]
async fn death_while_loading_breaks_the_load() {
    let stub = Stub::started().await;
    let load = request(json!({"misbehave_on_load": "die:SIGSEGV"}));
    assert!(matches!(
        bounded(stub.client.load(&load, |_| {})).await,
        Err(CallError::Transport(_))
    ));
    assert_eq!(stub.exited().await, ExitCause::Signal(11));
}

#[tokio::test]
async fn messages_over_the_limit_are_the_callers_fault_and_never_sent() {
    let mut launch = common::launch();
    launch.limits.max_message_bytes = 64 << 10;
    let stub = Stub::launched(launch).await;
    stub.client
        .load(&request(json!({"width": 2048})), |_| {})
        .await
        .unwrap();
    let large = "x".repeat(65 << 10);
    match stub.embed(&[&large]).await {
        Err(CallError::Plugin(PluginError {
            fault: Fault::Caller,
            message,
        })) => {
            assert!(message.contains("65536"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    // 16 vectors of 8 KiB are more than the limit: the plugin says so instead of sending them.
    let error = stub.embed(&["x"; 16]).await.unwrap_err();
    assert!(
        matches!(&error, CallError::Plugin(e) if e.fault == Fault::Instance),
        "{error:?}"
    );
    let inputs = vec![EmbedInput::text("x", true); 4];
    assert_eq!(stub.client.embed(inputs, 2048, None).await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_reply_of_another_width_is_a_breach() {
    let (stub, _) = Stub::loaded(json!({"width": 32})).await;
    let error = stub.embed(&["x"]).await.unwrap_err();
    assert!(matches!(error, CallError::Breach(_)), "{error:?}");
    assert_eq!(error.fault(), Some(Fault::Instance));
}
