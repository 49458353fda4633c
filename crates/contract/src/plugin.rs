//! What a plugin written in Rust implements: [`Plugin`], and one trait per task.

use std::path::{Component, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio_util::sync::CancellationToken;

use crate::{
    Capabilities, ChatReply, ChatRequest, EmbedInput, Embedding, ImageReply, ImageRequest, Invalid, ItemError,
    Manifest, PluginError,
};

/// A plugin: it says what it is and loads a model. [`crate::run`] does the rest.
pub trait Plugin: Send + Sync + 'static {
    /// What this executable is and can do.
    fn manifest(&self) -> Manifest;

    /// Loads the one model of this process. Runs on its own thread and may block.
    ///
    /// # Errors
    /// [`crate::Fault::Caller`] for bad options, [`crate::Fault::Model`] if the files can't be loaded.
    fn load(&self, request: &LoadRequest, progress: &dyn Fn(LoadProgress)) -> Result<LoadedModel, PluginError>;
}

/// The embed task. One thread owns the model, so calls never overlap.
pub trait Embed: Send + 'static {
    /// One result for each input, in order. Blocks while it computes.
    ///
    /// # Errors
    /// An error of the whole batch; what is wrong with one input alone goes into its own result.
    fn embed(
        &mut self,
        inputs: &[EmbedInput],
        context: &CallContext,
    ) -> Result<Vec<Result<Embedding, ItemError>>, PluginError>;
}

/// The chat task. The plugin schedules requests itself, so calls overlap.
pub trait Chat: Send + Sync + 'static {
    /// Starts work on one request and returns at once. What comes of it goes through `reply`, also if it fails;
    /// a reply that is dropped before it has finished is an error of this instance.
    fn chat(&self, request: ChatRequest, reply: ChatReply);

    /// Share of the key-value cache in use, 0 to 1, where it is known.
    fn kv_usage(&self) -> Option<f32> {
        None
    }
}

/// The image task. The plugin schedules requests itself, so calls overlap; those that are alike may share a batch.
pub trait Imagine: Send + Sync + 'static {
    /// Hands one request to whatever thread computes, and returns at once. What comes of it goes through `reply`, also
    /// if it fails; a reply that is dropped before it has finished is an error of this instance. Work on a reply that
    /// nobody waits for ([`ImageReply::is_cancelled`]) ends within one denoise step.
    fn imagine(&self, request: ImageRequest, reply: ImageReply);
}

/// A model to load.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadRequest {
    /// The model's id in the registry; for logs.
    pub model: String,
    /// Absolute path of its directory; `None` if it has no files.
    pub path: Option<PathBuf>,
    /// `auto`, `cpu`, `cuda:0`.
    pub device: String,
    /// `auto`, `f32`, `f16`, `bf16`.
    pub dtype: String,
    /// CPU threads that this instance may keep busy; `None`: the plugin decides.
    pub threads: Option<usize>,
    /// The plugin's own options, from the registry.
    pub options: serde_json::Map<String, serde_json::Value>,
}

/// How far loading has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadProgress {
    /// What is being done: `weights`, `warm-up`.
    pub stage: String,
    /// Steps done.
    pub done: u64,
    /// Steps in all; 0 if not known.
    pub total: u64,
}

/// A model that is ready to work: what it can do, and a handler for each task it can do.
pub struct LoadedModel {
    /// What it can do. Tasks listed here have their handler below.
    pub capabilities: Capabilities,
    /// Present exactly if `capabilities.embed` is.
    pub embed: Option<Box<dyn Embed>>,
    /// Present exactly if `capabilities.chat` is.
    pub chat: Option<Arc<dyn Chat>>,
    /// Present exactly if `capabilities.image` is.
    pub image: Option<Arc<dyn Imagine>>,
}

/// What a task needs to know of the call it works for.
#[derive(Debug, Clone, Default)]
pub struct CallContext {
    cancelled: CancellationToken,
    progress: Arc<AtomicU64>,
}

// === impl LoadRequest ===

impl LoadRequest {
    /// A request for `model` that leaves everything to the plugin and has no files.
    pub fn new(model: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            path: None,
            device: "auto".into(),
            dtype: "auto".into(),
            threads: None,
            options: serde_json::Map::new(),
        }
    }

    /// Checks what the types alone don't hold.
    ///
    /// # Errors
    /// The first field that breaks the contract.
    pub fn validate(&self) -> Result<(), Invalid> {
        for (field, value) in [("model", &self.model), ("device", &self.device), ("dtype", &self.dtype)] {
            if value.is_empty() {
                return Err(Invalid::new(field, "is empty"));
            }
        }
        let Some(path) = &self.path else { return Ok(()) };
        if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
            return Err(Invalid::new("path", "is not an absolute path without \"..\""));
        }
        Ok(())
    }
}

// === impl CallContext ===

impl CallContext {
    /// A context that reports progress to `progress` and ends when `cancelled` does.
    pub fn new(cancelled: CancellationToken, progress: Arc<AtomicU64>) -> Self {
        Self { cancelled, progress }
    }

    /// True once nobody waits for the result any more. Long work looks at it between steps.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.is_cancelled()
    }

    /// Resolves once nobody waits for the result any more.
    pub async fn cancelled(&self) {
        self.cancelled.cancelled().await;
    }

    /// Tells the host that a unit of work (an item, a token, a denoise step) is done.
    pub fn tick(&self) {
        self.progress.fetch_add(1, Ordering::Relaxed);
    }
}
