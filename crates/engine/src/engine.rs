//! The engine as the API sees it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sensorium_contract::MessageLimits;

use crate::{Admission, Error, Metrics, ModelState, ModelSummary, RegistryError, ReloadSummary, RequestContext};

/// What an engine is made from.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// The registry file, `models.toml`.
    pub registry: PathBuf,
    /// Where plugins are looked for before the host's own directory.
    pub plugin_path: Vec<PathBuf>,
    /// Bytes that the embedding cache may hold; 0: no cache.
    pub cache_bytes: u64,
    /// Largest message to and from a plugin.
    pub message_limits: MessageLimits,
    /// How long running requests may take to finish when a model, or the server, stops.
    pub drain_grace: Duration,
}

/// All models of one registry. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

/// Whether the server should be sent requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// True if every model marked `load = "eager"` has answered a real tiny request and still can, and the server
    /// is not draining.
    pub ready: bool,
    /// True once the server is about to stop.
    pub draining: bool,
    /// All models in registry order.
    pub models: Vec<(String, ModelState)>,
}

struct Inner {
    metrics: Arc<Metrics>,
}

// === impl Engine ===

impl Engine {
    /// Reads the registry, begins to load its eager models, and watches the file.
    ///
    /// # Errors
    /// If the registry can't be read or has problems: all of them, one a line.
    pub async fn start(config: EngineConfig, metrics: Arc<Metrics>) -> Result<Engine, RegistryError> {
        let _ = config;
        Ok(Engine { inner: Arc::new(Inner { metrics }) })
    }

    /// All models, in registry order.
    pub fn models(&self) -> Vec<ModelSummary> {
        Vec::new()
    }

    /// The model with this id or alias.
    pub fn model(&self, name: &str) -> Option<ModelSummary> {
        let _ = name;
        None
    }

    /// Takes one slot of a model, and loads it if it is not loaded.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn admit(&self, model: &str, request: RequestContext) -> Result<Admission, Error> {
        let _ = request;
        Err(Error::ModelNotFound { model: model.to_owned() })
    }

    /// Whether the server should be sent requests.
    pub fn readiness(&self) -> Readiness {
        Readiness { ready: false, draining: false, models: Vec::new() }
    }

    /// Reads the registry again: only entries that changed restart, and a bad edit changes nothing.
    ///
    /// # Errors
    /// If the registry can't be read or has problems: all of them, one a line.
    pub async fn reload(&self) -> Result<ReloadSummary, RegistryError> {
        Ok(ReloadSummary::default())
    }

    /// From now on the server is not ready and nothing is admitted.
    pub fn drain(&self) {}

    /// Drains, gives running requests the grace period, and stops all processes.
    pub async fn shutdown(&self) {}

    /// Everything counted.
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }
}
