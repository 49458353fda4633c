//! Models that chat without weights, and what is said to them.

use std::time::Instant;

use sensorium_api::Config;
use sensorium_media::MediaConfig;
use serde_json::{Value, json};

use super::{House, PATIENCE};

pub(crate) const CHAT: &str = "/v1/chat/completions";
pub(crate) const COMPLETIONS: &str = "/v1/completions";

/// Models that between them can and can't do everything that the API looks at.
pub(crate) const TALKERS: &str = r#"
[[model]]
id      = "talker"
aliases = ["gpt-4o"]
plugin  = "stub"
load    = "eager"
options = { tasks = ["chat"], allow_misbehaviour = true, max_batch = 32, chat = { image_side = 16, max_images = 3, prefix_cache = true } }

[[model]]
id      = "echo"
plugin  = "stub"
token_input = "native"
options = { tasks = ["chat"], chat = { reply = "echo", max_images = 0, max_top_logprobs = 3 } }

[[model]]
id      = "plain"
plugin  = "stub"
options = { tasks = ["chat"], chat = { max_images = 0, parameters = ["conversation", "temperature"] } }

[[model]]
id      = "base"
plugin  = "stub"
options = { tasks = ["chat"], chat = { max_images = 0, parameters = ["completion", "seed"] } }

[[model]]
id      = "short"
plugin  = "stub"
options = { tasks = ["chat"], chat = { context_length = 64 } }

[[model]]
id      = "narrow"
plugin  = "stub"
options = { tasks = ["chat"], max_batch = 1 }

[[model]]
id      = "slow"
plugin  = "stub"
options = { tasks = ["chat"], allow_misbehaviour = true, chat = { token_latency = "20ms" } }

[[model]]
id      = "embedder"
plugin  = "stub"
options = { width = 16 }
"#;

// === impl House ===

impl House {
    /// A server of [`TALKERS`].
    pub(crate) async fn of_talkers() -> House {
        Self::of_talkers_with(|_| {}).await
    }

    /// The same, whose configuration is changed first.
    pub(crate) async fn of_talkers_with(change: impl FnOnce(&mut Config)) -> House {
        Self::serving(TALKERS, change, MediaConfig::default()).await
    }

    /// The reply to a chat that must go well.
    pub(crate) async fn chat(&self, body: &Value) -> Value {
        let reply = self.post(CHAT, body).await;
        assert_eq!(reply.status, 200, "{}", reply.json());
        reply.json()
    }

    /// A metric's value, summed over all series that have these labels.
    pub(crate) async fn metric(&self, name: &str, labels: &str) -> f64 {
        let text = String::from_utf8(self.get("/metrics").await.body).unwrap();
        let lines = text
            .lines()
            .filter(|line| line.starts_with(&format!("{name}{{")) && line.contains(labels));
        lines
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
            .sum()
    }

    /// Waits until a metric has a value.
    pub(crate) async fn until(&self, name: &str, labels: &str, good: impl Fn(f64) -> bool) -> f64 {
        let begin = Instant::now();
        loop {
            let value = self.metric(name, labels).await;
            if good(value) {
                return value;
            }
            assert!(begin.elapsed() < PATIENCE, "{name} {labels} stays {value}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

/// A question to a model.
pub(crate) fn ask(model: &str, text: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": text}]})
}

/// The same with more fields.
pub(crate) fn ask_with(model: &str, text: &str, more: Value) -> Value {
    let mut body = ask(model, text);
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// A part with an image.
pub(crate) fn image(url: &str) -> Value {
    json!({"type": "image_url", "image_url": {"url": url}})
}
