//! What Prometheus sees of the server. Callers speak of models, tasks and reasons; label
//! values are made here, and are bounded by the registry: a name that no model has
//! becomes `unknown`, and a model that leaves the registry takes its series with it.

mod families;
mod image;
mod labels;
mod reply;
#[cfg(test)]
mod tests;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use prometheus::{Error, IntGauge, Registry, TextEncoder};
use sensorium_contract::Task;

use crate::registry::ModelConfig;
use families::Families;
pub(crate) use image::ImageMeter;
pub(crate) use labels::UNKNOWN;
use labels::{ModelLabel, ModelLabels};
pub use labels::{RejectReason, RestartCause};
pub(crate) use reply::{ChatMeter, Meter};

/// All metrics of one server.
pub struct Metrics {
    registry: Registry,
    families: Families,
    models: RwLock<ModelLabels>,
}

/// Counts one thing in a gauge until it is dropped.
#[derive(Debug)]
#[must_use = "the gauge goes down again when this is dropped"]
pub struct GaugeGuard(IntGauge);

// === impl Metrics ===

impl Metrics {
    /// Metrics of a server without models.
    ///
    /// # Errors
    /// If two families have one name, which is a mistake in this module.
    pub fn new() -> Result<Arc<Self>, Error> {
        let registry = Registry::new();
        let families = Families::new(&registry)?;
        #[cfg(target_os = "linux")]
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(Arc::new(Self {
            registry,
            families,
            models: RwLock::default(),
        }))
    }

    /// For families of other rooms.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Everything in Prometheus' text format (`text/plain; version=0.0.4`).
    ///
    /// # Errors
    /// If a family can't be written down; none of ours.
    pub fn render(&self) -> Result<String, Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// The models of the registry now; to be called before the first process of a new one is
    /// started. Series of models that are gone, or have another plugin, are removed.
    pub fn set_models(&self, models: &[ModelConfig]) {
        let labels = ModelLabels::new(models);
        for label in labels.iter() {
            // Present from the start, so that an alert on 0 also sees a model that never loaded.
            self.families.model_loaded.with_label_values(&label.values());
        }
        let mut current = self.models.write().unwrap_or_else(PoisonError::into_inner);
        *current = labels;
        self.families.retain_models(&|id, plugin| {
            let is_current = |label: &Arc<ModelLabel>| plugin.is_none_or(|plugin| plugin == label.plugin);
            id.is_empty() || id == UNKNOWN || current.of_id(id).is_some_and(is_current)
        });
    }
}

/// Requests, as the API sees them. A model may be named by its id or an alias.
impl Metrics {
    /// A request was answered. `route` is the pattern of a route, never a path; `model` is
    /// `None` if the route has none.
    pub fn request_finished(&self, route: &'static str, model: Option<&str>, status: u16, took: Duration) {
        let label = model.map(|name| self.label(name));
        let id = label.as_ref().map_or("", |label| &label.id);
        self.families
            .requests
            .with_label_values(&[route, id, &status.to_string()])
            .inc();
        self.families
            .request_seconds
            .with_label_values(&[route, id])
            .observe(took.as_secs_f64());
    }

    /// A request was turned away before any work.
    pub fn rejected(&self, reason: RejectReason) {
        self.families.rejected.with_label_values(&[reason.as_str()]).inc();
    }

    /// The media of a request were fetched, decoded and sized.
    pub fn preprocess(&self, model: &str, took: Duration) {
        let label = self.label(model);
        self.families
            .preprocess_seconds
            .with_label_values(&label.values())
            .observe(took.as_secs_f64());
    }

    /// `count` images were decoded.
    pub fn images(&self, model: &str, count: usize) {
        let label = self.label(model);
        self.families
            .images
            .with_label_values(&label.values())
            .inc_by(count as u64);
    }
}

/// Work, as the engine sees it. Models are named by their ids.
impl Metrics {
    /// An instance works on a request until the guard is dropped.
    pub fn running(&self, model: &str, task: Task) -> GaugeGuard {
        let label = self.label(model);
        GaugeGuard::new(self.families.running.with_label_values(&label.with(task.as_str())))
    }

    /// A request waits for an instance until the guard is dropped.
    pub fn waiting(&self, model: &str, task: Task) -> GaugeGuard {
        let label = self.label(model);
        GaugeGuard::new(self.families.waiting.with_label_values(&label.with(task.as_str())))
    }

    /// A request, or a part of one, left the queue for an instance.
    pub fn queued(&self, model: &str, task: Task, took: Duration) {
        let label = self.label(model);
        self.families
            .queue_seconds
            .with_label_values(&label.with(task.as_str()))
            .observe(took.as_secs_f64());
    }

    /// A call to a plugin with `items` items came back.
    pub fn inference(&self, model: &str, task: Task, items: usize, took: Duration) {
        self.call(model, task, took);
        let label = self.label(model);
        self.families
            .batch_size
            .with_label_values(&label.with(task.as_str()))
            .observe(items as f64);
    }

    /// A call to a plugin came to its end.
    pub fn call(&self, model: &str, task: Task, took: Duration) {
        let label = self.label(model);
        self.families
            .inference_seconds
            .with_label_values(&label.with(task.as_str()))
            .observe(took.as_secs_f64());
    }

    /// Measures a reply that was asked for at `asked`.
    pub(crate) fn chat_meter(&self, model: &str, asked: Instant) -> ChatMeter {
        ChatMeter::new(&self.families, &self.label(model), asked)
    }

    /// Measures the making of one request's images.
    pub(crate) fn image_meter(&self, model: &str) -> ImageMeter {
        ImageMeter::new(&self.families, &self.label(model))
    }

    /// Share of its key-value cache that an instance has in use, 0 to 1. Nothing if the model is not in the registry.
    pub fn kv_cache_usage(&self, model: &str, instance: usize, share: f64) {
        if let Some(label) = self.label_of_id(model) {
            self.families
                .kv_cache_usage
                .with_label_values(&label.with(&instance.to_string()))
                .set(share);
        }
    }

    /// An instance's process is gone, and with it its key-value cache.
    pub fn no_kv_cache(&self, model: &str, instance: usize) {
        let label = self.label(model);
        // An error means that it never said anything of one.
        let _ = self
            .families
            .kv_cache_usage
            .remove_label_values(&label.with(&instance.to_string()));
    }

    /// Items of a request were looked for in the embedding cache.
    pub fn cache(&self, model: &str, hits: usize, misses: usize) {
        let label = self.label(model);
        self.families
            .cache_hits
            .with_label_values(&label.values())
            .inc_by(hits as u64);
        self.families
            .cache_misses
            .with_label_values(&label.values())
            .inc_by(misses as u64);
    }

    /// The model can answer until the guard is dropped. `None` if it is not in the registry.
    pub fn loaded(&self, model: &str) -> Option<GaugeGuard> {
        let label = self.label_of_id(model)?;
        Some(GaugeGuard::new(
            self.families.model_loaded.with_label_values(&label.values()),
        ))
    }

    /// An instance was started and is ready. Nothing if the model is not in the registry.
    pub fn instance_loaded(&self, model: &str, took: Duration) {
        if let Some(label) = self.label_of_id(model) {
            self.families
                .load_seconds
                .with_label_values(&label.values())
                .observe(took.as_secs_f64());
        }
    }

    /// An instance is started again. Nothing if the model is not in the registry.
    pub fn instance_restarted(&self, model: &str, cause: RestartCause) {
        if let Some(label) = self.label_of_id(model) {
            self.families
                .restarts
                .with_label_values(&label.with(cause.as_str()))
                .inc();
        }
    }

    fn label(&self, name: &str) -> Arc<ModelLabel> {
        self.models.read().unwrap_or_else(PoisonError::into_inner).get(name)
    }

    fn label_of_id(&self, id: &str) -> Option<Arc<ModelLabel>> {
        self.models
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .of_id(id)
            .cloned()
    }
}

// === impl GaugeGuard ===

impl GaugeGuard {
    fn new(gauge: IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}
