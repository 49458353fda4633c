//! Tests of the metrics as they are rendered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sensorium_contract::{
    ChatDelta, ChatEvent, ChatFinished, ChatStarted, FinishReason, ImageDone, ImageEvent, ImageStarted, ImageStep,
    RgbImage, Task,
};
use serde_json::Map;

use super::{Meter as _, Metrics, RejectReason, RestartCause};
use crate::registry::{BatchConfig, ModelConfig};

const MS: Duration = Duration::from_millis(1);

fn model(id: &str, alias: &str, plugin: &str) -> ModelConfig {
    ModelConfig {
        id: id.into(),
        aliases: vec![alias.into()],
        plugin: plugin.into(),
        executable: Default::default(),
        tasks: vec![Task::Embed],
        path: None,
        load: Default::default(),
        devices: vec!["cpu".into()],
        dtype: Default::default(),
        ttl: None,
        batch: BatchConfig {
            max: None,
            wait: Duration::ZERO,
        },
        queue: 1,
        threads: None,
        token_input: Default::default(),
        truncate: Default::default(),
        timeout: None,
        options: Map::new(),
    }
}

fn metrics(models: &[ModelConfig]) -> Arc<Metrics> {
    let metrics = Metrics::new().expect("no two families have one name");
    metrics.set_models(models);
    metrics
}

/// Our lines that are no comments and no buckets but the last.
fn lines(metrics: &Metrics) -> Vec<String> {
    let text = metrics.render().expect("it can be written down");
    let wanted = |line: &&str| line.starts_with("sensorium_") && !line.contains("le=");
    text.lines().filter(wanted).map(Into::into).collect()
}

#[track_caller]
fn check(metrics: &Metrics, expected: &str) {
    let lines = lines(metrics);
    assert!(
        lines.iter().any(|line| line == expected),
        "{expected} is not among\n{}",
        lines.join("\n")
    );
}

/// Does everything once that can be counted of a model.
fn use_all(metrics: &Metrics, name: &str) {
    metrics.request_finished("/v1/embeddings", Some(name), 200, 2 * MS);
    metrics.preprocess(name, MS);
    metrics.images(name, 3);
    metrics.queued(name, Task::Embed, MS);
    metrics.inference(name, Task::Embed, 7, MS);
    metrics.cache(name, 2, 1);
    metrics.kv_cache_usage(name, 1, 0.25);
    reply(metrics, name);
    images(metrics, name);
    metrics.instance_loaded(name, 1500 * MS);
    metrics.instance_restarted(name, RestartCause::Crash);
    drop(metrics.loaded(name));
    drop(metrics.running(name, Task::Embed));
    drop(metrics.waiting(name, Task::Embed));
}

/// A reply of five tokens in three events, the last of which waited for its reader; the end is a token too.
fn reply(metrics: &Metrics, name: &str) {
    let mut meter = metrics.chat_meter(name, Instant::now());
    meter.started(ChatStarted {
        prompt_tokens: 9,
        image_tokens: 4,
    });
    let delta = |tokens| {
        ChatEvent::Delta(ChatDelta {
            tokens,
            ..ChatDelta::default()
        })
    };
    meter.see(&delta(1));
    meter.see(&delta(3));
    meter.see(&delta(0));
    meter.pause();
    meter.see(&delta(1));
    meter.see(&ChatEvent::Finished(ChatFinished {
        reason: FinishReason::Stop,
        completion_tokens: 6,
        cached_tokens: 2,
    }));
}

/// Two images in eight steps, of which two events speak, the last after a pause.
fn images(metrics: &Metrics, name: &str) {
    let mut meter = metrics.image_meter(name);
    meter.started(ImageStarted {
        prompt_tokens: 5,
        truncated: false,
    });
    let step = |done| ImageEvent::Step(ImageStep { done, total: 8 });
    meter.see(&step(1));
    meter.see(&step(4));
    meter.pause();
    meter.see(&step(8));
    for index in 0..2 {
        let image = RgbImage::new(1, 1, vec![0; 3]).unwrap();
        meter.see(&ImageEvent::Image(ImageDone { index, image }));
    }
    meter.see(&ImageEvent::Finished);
}

#[test]
fn every_family_of_the_issue_is_there() {
    let metrics = metrics(&[model("m", "alias", "p")]);
    use_all(&metrics, "m");
    metrics.rejected(RejectReason::QueueFull);
    for expected in [
        r#"sensorium_requests_total{model="m",route="/v1/embeddings",status="200"} 1"#,
        r#"sensorium_requests_running{model="m",plugin="p",task="embed"} 0"#,
        r#"sensorium_requests_waiting{model="m",plugin="p",task="embed"} 0"#,
        r#"sensorium_requests_rejected_total{reason="queue_full"} 1"#,
        r#"sensorium_request_duration_seconds_sum{model="m",route="/v1/embeddings"} 0.002"#,
        r#"sensorium_queue_duration_seconds_count{model="m",plugin="p",task="embed"} 1"#,
        r#"sensorium_preprocess_duration_seconds_count{model="m",plugin="p"} 1"#,
        r#"sensorium_inference_duration_seconds_count{model="m",plugin="p",task="embed"} 1"#,
        r#"sensorium_batch_size_sum{model="m",plugin="p",task="embed"} 7"#,
        r#"sensorium_model_loaded{model="m",plugin="p"} 0"#,
        r#"sensorium_model_load_seconds_sum{model="m",plugin="p"} 1.5"#,
        r#"sensorium_instance_restarts_total{cause="crash",model="m",plugin="p"} 1"#,
        r#"sensorium_cache_hits_total{model="m",plugin="p"} 2"#,
        r#"sensorium_cache_misses_total{model="m",plugin="p"} 1"#,
        r#"sensorium_images_total{model="m",plugin="p"} 3"#,
        r#"sensorium_time_to_first_token_seconds_count{model="m",plugin="p"} 1"#,
        r#"sensorium_inter_token_seconds_count{model="m",plugin="p"} 3"#,
        r#"sensorium_prompt_tokens_total{model="m",plugin="p"} 14"#,
        r#"sensorium_generated_images_total{model="m",plugin="p"} 2"#,
        r#"sensorium_denoise_steps_total{model="m",plugin="p"} 8"#,
        r#"sensorium_denoise_step_seconds_count{model="m",plugin="p"} 3"#,
        r#"sensorium_generated_tokens_total{model="m",plugin="p"} 6"#,
        r#"sensorium_cached_prompt_tokens_total{model="m",plugin="p"} 2"#,
        r#"sensorium_kv_cache_usage_ratio{instance="1",model="m",plugin="p"} 0.25"#,
    ] {
        check(&metrics, expected);
    }
    metrics.no_kv_cache("m", 1);
    assert!(!lines(&metrics).iter().any(|line| line.contains("kv_cache")));
}

#[test]
#[cfg(target_os = "linux")]
fn the_process_is_measured() {
    let text = metrics(&[]).render().expect("it can be written down");
    for name in [
        "process_resident_memory_bytes ",
        "process_open_fds ",
        "process_cpu_seconds_total ",
    ] {
        assert!(text.lines().any(|line| line.starts_with(name)), "{name}");
    }
}

#[test]
fn buckets_fit_what_is_measured() {
    let metrics = metrics(&[model("m", "alias", "p")]);
    use_all(&metrics, "m");
    let text = metrics.render().expect("it can be written down");
    let buckets = |family: &str| {
        let start = format!("sensorium_{family}_bucket{{");
        let lines = text.lines().filter(|line| line.starts_with(&start));
        let bounds: Vec<&str> = lines
            .filter_map(|line| line.split("le=\"").nth(1)?.split('"').next())
            .collect();
        (bounds[0].to_owned(), bounds[bounds.len() - 2].to_owned(), bounds.len())
    };
    for (family, first, last, count) in [
        ("request_duration_seconds", "0.0005", "60", 17),
        ("inference_duration_seconds", "0.0005", "60", 17),
        ("batch_size", "1", "1024", 12),
        ("model_load_seconds", "0.1", "600", 13),
    ] {
        assert_eq!(buckets(family), (first.into(), last.into(), count), "{family}");
    }
}

#[test]
fn guards_count_as_long_as_they_live() {
    let metrics = metrics(&[model("m", "alias", "p")]);
    let running = |count| format!("sensorium_requests_running{{model=\"m\",plugin=\"p\",task=\"embed\"}} {count}");
    let (one, two) = (metrics.running("m", Task::Embed), metrics.running("alias", Task::Embed));
    check(&metrics, &running(2));
    drop(one);
    check(&metrics, &running(1));
    drop(two);
    check(&metrics, &running(0));
}

#[test]
fn a_model_that_replaces_itself_stays_loaded() {
    let metrics = metrics(&[model("m", "alias", "p")]);
    let loaded = |count| format!("sensorium_model_loaded{{model=\"m\",plugin=\"p\"}} {count}");
    check(&metrics, &loaded(0));
    let old = metrics.loaded("m");
    let new = metrics.loaded("m");
    drop(old);
    check(&metrics, &loaded(1));
    drop(new);
    check(&metrics, &loaded(0));
}

#[test]
fn names_are_bounded_by_the_registry() {
    let metrics = metrics(&[model("m", "alias", "p")]);
    for name in ["alias", "no-such-model", "sk-secret", "a prompt\n{}\""] {
        metrics.request_finished("/v1/embeddings", Some(name), 200, MS);
    }
    use_all(&metrics, "nobody");
    metrics.request_finished("/v1/models", None, 200, MS);
    check(
        &metrics,
        r#"sensorium_requests_total{model="m",route="/v1/embeddings",status="200"} 1"#,
    );
    check(
        &metrics,
        r#"sensorium_requests_total{model="unknown",route="/v1/embeddings",status="200"} 4"#,
    );
    check(
        &metrics,
        r#"sensorium_requests_total{model="",route="/v1/models",status="200"} 1"#,
    );
    let shown = lines(&metrics).join("\n");
    for name in ["no-such-model", "sk-secret", "a prompt", "nobody", "\"alias\""] {
        assert!(!shown.contains(name), "{shown}");
    }
}

#[test]
fn a_model_that_leaves_takes_its_series_with_it() {
    let metrics = metrics(&[
        model("stays", "a", "p"),
        model("goes", "b", "p"),
        model("moves", "c", "old"),
    ]);
    for name in ["stays", "goes", "moves"] {
        use_all(&metrics, name);
    }
    let running = metrics.running("goes", Task::Embed);
    metrics.set_models(&[model("stays", "b", "p"), model("moves", "c", "new")]);
    drop(running);
    use_all(&metrics, "goes");
    use_all(&metrics, "moves");
    let shown = lines(&metrics).join("\n");
    assert!(!shown.contains("\"goes\"") && !shown.contains("\"old\""), "{shown}");
    check(&metrics, r#"sensorium_images_total{model="stays",plugin="p"} 3"#);
    check(&metrics, r#"sensorium_images_total{model="moves",plugin="new"} 3"#);
    metrics.request_finished("/v1/embeddings", Some("b"), 200, MS);
    check(
        &metrics,
        r#"sensorium_requests_total{model="stays",route="/v1/embeddings",status="200"} 2"#,
    );
}
