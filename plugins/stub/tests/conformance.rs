//! The stub keeps the contract, whatever shape its model has.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use sensorium_contract::conformance::{Options, Outcome, Report, run};

async fn check(options: serde_json::Value) -> Report {
    let mut conformance = Options::new(env!("CARGO_BIN_EXE_sensorium-stub"));
    conformance.load.options = options.as_object().unwrap().clone();
    let report = run(&conformance).await;
    assert!(report.is_success(), "{options}\n{report}");
    report
}

#[tokio::test]
async fn a_model_of_both_kinds() {
    let report = check(serde_json::json!({})).await;
    let skipped = skipped(&report, &["the model doesn't chat", "the model makes no images"]);
    assert_eq!(skipped, 1, "only that no kind is unknown to it\n{report}");
}

#[tokio::test]
async fn a_slow_model() {
    check(serde_json::json!({"latency": "20ms", "item_latency": "1ms", "load_latency": "50ms"})).await;
}

#[tokio::test]
async fn a_model_of_images_only_that_takes_one_at_a_time() {
    check(serde_json::json!({"modalities": ["image"], "max_batch": 1, "width": 3, "scoring": null})).await;
}

#[tokio::test]
async fn a_model_of_texts_only() {
    check(serde_json::json!({"modalities": ["text"], "context_length": 5, "matryoshka": [16, 32]})).await;
}

#[tokio::test]
async fn a_model_that_chats() {
    let report = check(serde_json::json!({
        "tasks": ["chat"],
        "chat": {"token_latency": "1ms", "prompt_latency": "5ms", "context_length": 1000},
    }))
    .await;
    let skipped = skipped(&report, &["the model doesn't embed", "the model makes no images"]);
    assert_eq!(skipped, 0, "it can do everything\n{report}");
}

#[tokio::test]
async fn a_model_that_makes_images() {
    let report = check(serde_json::json!({
        "tasks": ["image"],
        "image": {"step_latency": "2ms", "prompt_latency": "5ms", "decode_latency": "1ms"},
    }))
    .await;
    let skipped = skipped(&report, &["the model doesn't embed", "the model doesn't chat"]);
    assert_eq!(skipped, 0, "it can do everything\n{report}");
}

#[tokio::test]
async fn a_model_that_makes_images_as_it_likes_and_one_request_at_a_time() {
    check(serde_json::json!({
        "tasks": ["embed", "image"],
        "max_batch": 1,
        "image": {"parameters": [], "max_images": 1, "schedulers": ["DDIMScheduler"], "min_side": 64, "max_side": 64},
    }))
    .await;
}

/// Checks that are skipped, but not for any of these reasons.
fn skipped(report: &Report, reasons: &[&str]) -> usize {
    let other = |outcome: &Outcome| match outcome {
        Outcome::Skipped(why) => !reasons.contains(&why.as_str()),
        Outcome::Passed | Outcome::Failed(_) => false,
    };
    report.checks.iter().filter(|check| other(&check.outcome)).count()
}

#[tokio::test]
async fn a_model_that_chats_as_fast_as_it_can_and_embeds() {
    check(serde_json::json!({"tasks": ["embed", "chat"], "chat": {"prefix_cache": true}})).await;
}

#[tokio::test]
async fn a_model_that_goes_on_with_texts_and_makes_one_reply_at_a_time() {
    check(serde_json::json!({
        "tasks": ["chat"],
        "max_batch": 1,
        "chat": {"parameters": ["completion", "temperature"], "max_images": 0, "token_latency": "1ms"},
    }))
    .await;
}

#[tokio::test]
async fn a_model_that_repeats_what_it_is_told() {
    check(serde_json::json!({"tasks": ["chat"], "chat": {"reply": "echo", "max_images": 1}})).await;
}

#[tokio::test]
async fn a_plugin_that_does_not_load_fails_without_hanging() {
    let mut conformance = Options::new(env!("CARGO_BIN_EXE_sensorium-stub"));
    conformance
        .load
        .options
        .insert("misbehave_on_load".into(), "die:SIGKILL".into());
    let report = run(&conformance).await;
    assert!(!report.is_success());
    assert!(
        report.to_string().contains("SIGKILL") || report.to_string().contains("broke"),
        "{report}"
    );
}
