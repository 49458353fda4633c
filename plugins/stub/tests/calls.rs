//! Calls that overlap, are called off, or outlive the wish for them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::time::{Duration, Instant};

use common::{PATIENCE, Stub, WIDTH, bounded};
use sensorium_contract::client::CallError;
use sensorium_contract::process::ExitCause;
use sensorium_contract::{EmbedInput, Fault, LoadState};
use serde_json::json;

#[tokio::test]
async fn a_dropped_call_is_cancelled_in_the_plugin() {
    let (stub, _) = Stub::loaded(json!({})).await;
    let call = stub.begin("stub:sleep:1h").await;
    call.abort();
    stub.until_running(0).await;
    assert!(stub.embed(&["next"]).await.is_ok());
}

#[tokio::test]
async fn a_waiting_call_that_is_dropped_is_never_computed() {
    let (stub, _) = Stub::loaded(json!({})).await;
    let running = stub.begin("stub:sleep:1h").await;
    let waiting = stub.begin("stub:abort").await;
    // One after the other: each has left this end, and a later call been answered, before the next.
    for call in [waiting, running] {
        call.abort();
        assert!(bounded(call).await.unwrap_err().is_cancelled());
        bounded(stub.client.health()).await.unwrap();
    }
    stub.until_running(0).await;
    assert!(stub.embed(&["next"]).await.is_ok());
    assert!(stub.process.pid().is_some());
}

#[tokio::test]
async fn a_third_call_is_refused() {
    let (stub, _) = Stub::loaded(json!({})).await;
    let one = stub.begin("stub:sleep:1h").await;
    let two = stub.begin("two").await;
    match stub.embed(&["three"]).await {
        Err(CallError::Plugin(error)) => assert_eq!(error.fault, Fault::Instance),
        other => panic!("{other:?}"),
    }
    one.abort();
    assert!(bounded(two).await.unwrap().is_ok());
}

#[tokio::test]
async fn two_callers_that_never_pause_are_never_refused() {
    let (stub, _) = Stub::loaded(json!({})).await;
    let caller = || async {
        for _ in 0..300 {
            stub.embed(&["busy"]).await.unwrap();
        }
    };
    tokio::join!(caller(), caller());
}

#[tokio::test]
async fn the_deadline_ends_the_call_on_both_ends() {
    let (stub, _) = Stub::loaded(json!({})).await;
    let deadline = Some(Instant::now() + Duration::from_millis(50));
    let inputs = vec![EmbedInput::text("stub:sleep:1h", true)];
    let error = bounded(stub.client.embed(inputs.clone(), WIDTH, deadline))
        .await
        .unwrap_err();
    assert_eq!(error, CallError::Deadline);
    assert_eq!(error.fault(), None);
    stub.until_running(0).await;
    let past = Some(Instant::now());
    assert_eq!(
        stub.client.embed(inputs, WIDTH, past).await.unwrap_err(),
        CallError::Deadline
    );
}

#[tokio::test]
async fn sigterm_lets_what_runs_finish() {
    let (stub, _) = Stub::loaded(json!({})).await;
    let call = stub.begin("stub:sleep:300ms").await;
    stub.process.terminate();
    assert!(bounded(call).await.unwrap().is_ok());
    assert_eq!(stub.exited().await, ExitCause::Status(0));
}

#[tokio::test]
async fn stop_lets_what_runs_finish_and_takes_nothing_new() {
    let (stub, _) = Stub::loaded(json!({})).await;
    let call = stub.begin("stub:sleep:300ms").await;
    stub.client.stop(PATIENCE).await.unwrap();
    stub.until_logged("stopping").await;
    assert_eq!(stub.embed(&["new"]).await.unwrap_err().fault(), Some(Fault::Instance));
    assert!(bounded(call).await.unwrap().is_ok());
    assert_eq!(stub.exited().await, ExitCause::Status(0));
}

#[tokio::test]
async fn after_the_grace_period_it_exits_all_the_same() {
    let (stub, _) = Stub::loaded(json!({})).await;
    let call = stub.begin("stub:hang").await;
    let cause = bounded(stub.process.stop(Duration::from_millis(100))).await;
    assert!(matches!(cause, ExitCause::Status(0) | ExitCause::Signal(9)), "{cause}");
    assert!(bounded(call).await.unwrap().is_err());
}

#[tokio::test]
async fn loading_reports_progress_and_health_answers_meanwhile() {
    let stub = Stub::started().await;
    let client = stub.client.clone();
    let load = tokio::spawn(async move {
        let mut progress = Vec::new();
        let loaded = client
            .load(&common::request(json!({"load_latency": "400ms"})), |p| progress.push(p))
            .await;
        (loaded, progress)
    });
    bounded(async { while stub.client.health().await.unwrap().state != LoadState::Loading {} }).await;
    let (loaded, progress) = bounded(load).await.unwrap();
    assert_eq!(loaded.unwrap().embed.unwrap().width, WIDTH);
    assert_eq!(progress.iter().map(|p| p.done).collect::<Vec<_>>(), [0, 1, 2, 3]);
    stub.until_logged("loaded").await;
    let logs = stub.logs.lock().unwrap();
    let line = logs.iter().find(|line| line.message == "loaded").unwrap();
    assert_eq!(
        (line.level, &line.fields["model"]),
        (tracing::Level::INFO, &json!("test"))
    );
    assert!(line.fields.contains_key("target"), "{line:?}");
}

#[tokio::test]
async fn vectors_are_the_same_in_every_process() {
    let mut seen = Vec::new();
    for _ in 0..2 {
        let (stub, _) = Stub::loaded(json!({})).await;
        seen.push(stub.embed(&["a red circle", ""]).await.unwrap());
    }
    assert_eq!(seen[0], seen[1]);
}
