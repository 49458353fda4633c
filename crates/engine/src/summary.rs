//! What the engine tells of its models.

use std::sync::Arc;
use std::time::Duration;

use sensorium_contract::Capabilities;

use crate::{TokenInput, Truncate};

/// One model of the registry, as it is now.
#[derive(Debug, Clone)]
pub struct ModelSummary {
    /// Its id in the registry.
    pub id: String,
    /// Its other names.
    pub aliases: Vec<String>,
    /// The plugin that serves it.
    pub plugin: String,
    /// When its registry entry was read, in seconds of Unix time.
    pub created: u64,
    /// Whether it can work now.
    pub state: ModelState,
    /// What it can do; known once it has been loaded, and kept when it is unloaded.
    pub capabilities: Option<Arc<Capabilities>>,
    /// How long a request may take that doesn't say; `None`: as long as the server lets it.
    pub timeout: Option<Duration>,
    /// What lists of token ids in a request mean.
    pub token_input: TokenInput,
    /// What happens to text longer than the context when the request does not say.
    pub truncate: Truncate,
}

/// Whether a model can work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelState {
    /// No process runs; the first request starts one.
    Unloaded,
    /// A process starts, loads, or restarts; requests wait.
    Loading,
    /// At least one instance is ready.
    Ready,
    /// It can't be loaded. Tried again when the registry is reloaded, or by a request some time later.
    Failed {
        /// What the plugin said.
        reason: String,
    },
    /// Its process keeps dying: the breaker is open.
    Broken {
        /// How it died last.
        reason: String,
    },
}

/// What a reload of the registry did, as ids in the order of the registry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReloadSummary {
    /// Entries that were not there before.
    pub added: Vec<String>,
    /// Entries that are there no longer; they finish what they have admitted.
    pub removed: Vec<String>,
    /// Entries that changed: their instances have been, or are being, replaced.
    pub restarted: Vec<String>,
    /// Entries whose instances were left alone.
    pub unchanged: Vec<String>,
    /// Entries that changed, but can't be loaded as they are now, with why: the old ones go on serving.
    pub kept: Vec<(String, String)>,
}
