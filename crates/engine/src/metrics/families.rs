//! The metric families: names, help texts, labels and buckets.

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{
    Error, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, exponential_buckets,
};

/// Seconds, from half a millisecond to a minute.
const DURATION_BUCKETS: [f64; 16] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];
/// Seconds, from a tenth to ten minutes.
const LOAD_BUCKETS: [f64; 12] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];

const MODEL: &[&str] = &["model", "plugin"];
const MODEL_TASK: &[&str] = &["model", "plugin", "task"];
const MODEL_INSTANCE: &[&str] = &["model", "plugin", "instance"];

/// Every family that has labels.
pub(super) struct Families {
    pub requests: IntCounterVec,
    pub running: IntGaugeVec,
    pub waiting: IntGaugeVec,
    pub rejected: IntCounterVec,
    pub request_seconds: HistogramVec,
    pub queue_seconds: HistogramVec,
    pub preprocess_seconds: HistogramVec,
    pub inference_seconds: HistogramVec,
    pub batch_size: HistogramVec,
    pub model_loaded: IntGaugeVec,
    pub load_seconds: HistogramVec,
    pub restarts: IntCounterVec,
    pub cache_hits: IntCounterVec,
    pub cache_misses: IntCounterVec,
    pub images: IntCounterVec,
    pub first_token_seconds: HistogramVec,
    pub inter_token_seconds: HistogramVec,
    pub prompt_tokens: IntCounterVec,
    pub generated_tokens: IntCounterVec,
    pub cached_prompt_tokens: IntCounterVec,
    pub kv_cache_usage: GaugeVec,
    pub generated_images: IntCounterVec,
    pub denoise_steps: IntCounterVec,
    pub denoise_step_seconds: HistogramVec,
}

/// Makes families and registers them.
struct Maker<'a>(&'a Registry);

// === impl Families ===

impl Families {
    /// All families, registered in `registry`.
    pub(super) fn new(registry: &Registry) -> Result<Self, Error> {
        let make = Maker(registry);
        let sizes = exponential_buckets(1.0, 2.0, 11)?;
        let seconds = &DURATION_BUCKETS;
        Ok(Self {
            requests: make.counter("requests_total", "Requests answered.", &["route", "model", "status"])?,
            running: make.gauge("requests_running", "Requests that an instance works on.", MODEL_TASK)?,
            waiting: make.gauge("requests_waiting", "Requests that wait for an instance.", MODEL_TASK)?,
            rejected: make.counter(
                "requests_rejected_total",
                "Requests turned away before any work.",
                &["reason"],
            )?,
            request_seconds: make.histogram(
                "request_duration_seconds",
                "Time from the first byte of a request to the last of its reply.",
                &["route", "model"],
                seconds,
            )?,
            queue_seconds: make.histogram(
                "queue_duration_seconds",
                "Time that an item waited for an instance.",
                MODEL_TASK,
                seconds,
            )?,
            preprocess_seconds: make.histogram(
                "preprocess_duration_seconds",
                "Time to fetch, decode and size the media of a request.",
                MODEL,
                seconds,
            )?,
            inference_seconds: make.histogram(
                "inference_duration_seconds",
                "Time of one call to a plugin.",
                MODEL_TASK,
                seconds,
            )?,
            batch_size: make.histogram("batch_size", "Items of one call to a plugin.", MODEL_TASK, &sizes)?,
            model_loaded: make.gauge(
                "model_loaded",
                "1 while the model can answer, else 0; 2 while it is being replaced.",
                MODEL,
            )?,
            load_seconds: make.histogram(
                "model_load_seconds",
                "Time from starting a plugin process to its first answer.",
                MODEL,
                &LOAD_BUCKETS,
            )?,
            restarts: make.counter(
                "instance_restarts_total",
                "Instances started again.",
                &["model", "plugin", "cause"],
            )?,
            cache_hits: make.counter("cache_hits_total", "Items found in the embedding cache.", MODEL)?,
            cache_misses: make.counter("cache_misses_total", "Items not found in the embedding cache.", MODEL)?,
            images: make.counter("images_total", "Images decoded.", MODEL)?,
            first_token_seconds: make.histogram(
                "time_to_first_token_seconds",
                "Time from a prompt's joining the queue to the first token of its reply.",
                MODEL,
                seconds,
            )?,
            inter_token_seconds: make.histogram(
                "inter_token_seconds",
                "Time from one token of a reply to the next.",
                MODEL,
                seconds,
            )?,
            prompt_tokens: make.counter("prompt_tokens_total", "Tokens of prompts that were read.", MODEL)?,
            generated_tokens: make.counter("generated_tokens_total", "Tokens of replies.", MODEL)?,
            cached_prompt_tokens: make.counter(
                "cached_prompt_tokens_total",
                "Tokens of prompts that were not computed anew.",
                MODEL,
            )?,
            kv_cache_usage: make.share(
                "kv_cache_usage_ratio",
                "Share of the key-value cache in use, as the instance said last.",
                MODEL_INSTANCE,
            )?,
            generated_images: make.counter("generated_images_total", "Images made.", MODEL)?,
            denoise_steps: make.counter(
                "denoise_steps_total",
                "Denoise steps of all requests for images.",
                MODEL,
            )?,
            denoise_step_seconds: make.histogram(
                "denoise_step_seconds",
                "Time from one denoise step of a request to the next.",
                MODEL,
                seconds,
            )?,
        })
    }

    /// Removes every series whose labels `model` and `plugin` are not `kept`. A family
    /// without the label `plugin` passes `None` for it.
    pub(super) fn retain_models(&self, kept: &dyn Fn(&str, Option<&str>) -> bool) {
        for family in [
            &self.requests,
            &self.restarts,
            &self.cache_hits,
            &self.cache_misses,
            &self.images,
            &self.prompt_tokens,
            &self.generated_tokens,
            &self.cached_prompt_tokens,
            &self.generated_images,
            &self.denoise_steps,
        ] {
            retain(family, kept);
        }
        for family in [&self.running, &self.waiting, &self.model_loaded] {
            retain(family, kept);
        }
        let histograms = [
            &self.request_seconds,
            &self.queue_seconds,
            &self.preprocess_seconds,
            &self.inference_seconds,
            &self.batch_size,
            &self.load_seconds,
            &self.first_token_seconds,
            &self.inter_token_seconds,
            &self.denoise_step_seconds,
        ];
        for family in histograms {
            retain(family, kept);
        }
        retain(&self.kv_cache_usage, kept);
    }
}

/// Removes the series of `family` whose model is not kept.
fn retain<B: MetricVecBuilder>(family: &MetricVec<B>, kept: &dyn Fn(&str, Option<&str>) -> bool)
where
    MetricVec<B>: Collector,
{
    let names: Vec<String> = family
        .desc()
        .first()
        .map(|desc| desc.variable_labels.clone())
        .unwrap_or_default();
    for metric in family.collect().iter().flat_map(|family| family.get_metric()) {
        let value = |name: &str| {
            metric
                .get_label()
                .iter()
                .find(|label| label.name() == name)
                .map(|label| label.value())
        };
        let Some(model) = value("model").filter(|model| !kept(model, value("plugin"))) else {
            continue;
        };
        let values: Vec<&str> = names.iter().map(|name| value(name).unwrap_or_default()).collect();
        if family.remove_label_values(&values).is_err() {
            tracing::debug!(model, "a metric series was removed by someone else");
        }
    }
}

// === impl Maker ===

impl Maker<'_> {
    fn counter(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, Error> {
        self.register(IntCounterVec::new(
            Opts::new(name, help).namespace("sensorium"),
            labels,
        )?)
    }

    fn gauge(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, Error> {
        self.register(IntGaugeVec::new(Opts::new(name, help).namespace("sensorium"), labels)?)
    }

    fn share(&self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec, Error> {
        self.register(GaugeVec::new(Opts::new(name, help).namespace("sensorium"), labels)?)
    }

    fn histogram(&self, name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> Result<HistogramVec, Error> {
        let opts = HistogramOpts::new(name, help)
            .namespace("sensorium")
            .buckets(buckets.to_vec());
        self.register(HistogramVec::new(opts, labels)?)
    }

    fn register<C: Collector + Clone + 'static>(&self, family: C) -> Result<C, Error> {
        self.0.register(Box::new(family.clone()))?;
        Ok(family)
    }
}
