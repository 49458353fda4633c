//! A model of the registry, checked: what the rest of the engine sees.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use sensorium_contract::{LoadRequest, Task};
use serde::Deserialize;
use serde_json::{Map, Value};

/// One `[[model]]` of the registry, valid by construction.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// What requests call it.
    pub id: String,
    /// Other names for it.
    pub aliases: Vec<String>,
    /// The `<plugin>` of `sensorium-<plugin>`.
    pub plugin: String,
    /// The plugin's executable, found on the search path.
    pub executable: PathBuf,
    /// Tasks of the plugin; the model itself may do fewer.
    pub tasks: Vec<Task>,
    /// Absolute path of the model's directory; `None` if it has no files.
    pub path: Option<PathBuf>,
    /// When it is loaded.
    pub load: LoadPolicy,
    /// One instance for each entry: `auto`, `cpu`, `cuda:0`. Never empty.
    pub devices: Vec<String>,
    /// Precision to compute in.
    pub dtype: Dtype,
    /// Unload after this long without a request; `None`: never.
    pub ttl: Option<Duration>,
    /// How waiting items are gathered.
    pub batch: BatchConfig,
    /// Requests that may be admitted at once; at least 1.
    pub queue: usize,
    /// CPU threads of one instance; `None`: the cores are shared out.
    pub threads: Option<usize>,
    /// What arrays of token ids in a request mean.
    pub token_input: TokenInput,
    /// What happens to text longer than the context, unless the request says.
    pub truncate: Truncate,
    /// Deadline of a request that brings none of its own; `None`: the server's.
    pub timeout: Option<Duration>,
    /// The plugin's own options.
    pub options: Map<String, Value>,
}

/// How waiting items are gathered into batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchConfig {
    /// Most items in one batch, at least 1; `None`: as many as the model can take.
    pub max: Option<u32>,
    /// How long a free instance waits for more items; zero: it takes what is there.
    pub wait: Duration,
}

/// When a model is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LoadPolicy {
    /// At start; the server is ready once it has answered a request.
    Eager,
    /// At its first request.
    #[default]
    Lazy,
}

/// Precision that a model computes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// The plugin chooses what is fast and close enough on the device.
    #[default]
    Auto,
    /// 32-bit floats.
    F32,
    /// 16-bit floats with 5 bits of exponent.
    F16,
    /// 16-bit floats with 8 bits of exponent.
    Bf16,
}

/// What arrays of token ids in a request mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TokenInput {
    /// Ids of OpenAI's cl100k_base, as clients send that take the model for one of OpenAI's:
    /// they are turned back into text.
    #[default]
    Cl100k,
    /// Ids of the model's own tokenizer.
    Native,
    /// A request with token ids is refused.
    Reject,
}

/// What happens to text that is longer than the model's context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Truncate {
    /// It is cut as the model's tokenizer would, and the reply says so.
    #[default]
    Cut,
    /// The request is refused.
    Error,
}

// === impl ModelConfig ===

impl ModelConfig {
    /// What one instance on `device` is asked to load.
    pub fn load_request(&self, device: &str) -> LoadRequest {
        LoadRequest {
            model: self.id.clone(),
            path: self.path.clone(),
            device: device.into(),
            dtype: self.dtype.as_str().into(),
            threads: self.threads,
            options: self.options.clone(),
        }
    }

    /// True if processes started for `self` can serve `other`: nothing that they were
    /// started with, and no limit of their batches, is different.
    pub fn runs_like(&self, other: &Self) -> bool {
        self.id == other.id
            && self.plugin == other.plugin
            && self.executable == other.executable
            && self.path == other.path
            && self.devices == other.devices
            && self.dtype == other.dtype
            && self.threads == other.threads
            && self.batch.max == other.batch.max
            && self.options == other.options
    }
}

// === impl Dtype ===

impl Dtype {
    /// The name in the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Dtype::Auto => "auto",
            Dtype::F32 => "f32",
            Dtype::F16 => "f16",
            Dtype::Bf16 => "bf16",
        }
    }
}
