//! The engine: which models there are, and how a request gets to one of their processes and back.
//!
//! ```text
//! Engine::admit      name -> model, one slot taken, a lazy model loaded      admission.rs, model/
//! Admission::embed   cache, then the model's queue                           admission.rs, cache.rs
//! Admission::chat    the model's queue, then a stream                        chat.rs
//! Admission::imagine the same for images                                     image.rs
//! queue              what waits becomes calls when an instance is free       queue/
//! instance           one plugin process: started, watched, restarted         instance/
//! registry           models.toml: parsed, checked, watched, reloaded         registry/, watch.rs, reload.rs
//! ```
//!
//! The engine names no plugin and no model: what it does with one follows from the
//! registry and from the capabilities that the loaded model reports.
#![forbid(unsafe_code)]

mod admission;
mod cache;
mod chat;
mod engine;
mod error;
mod image;
mod instance;
mod metrics;
mod model;
mod owner;
mod queue;
mod registry;
mod reload;
mod shared;
mod stream;
mod summary;
mod supervision;
mod table;
mod watch;

pub use admission::{Admission, RequestContext};
pub use chat::ChatStream;
pub use engine::{Engine, EngineConfig, Readiness};
pub use error::Error;
pub use image::ImageStream;
pub use metrics::{GaugeGuard, Metrics, RejectReason, RestartCause};
pub use owner::Owner;
pub use registry::{
    BatchConfig, Dtype, LoadPolicy, ModelConfig, PluginCatalog, Problem, Registry, RegistryError, TokenInput, Truncate,
    check_registry, registry_schema,
};
pub use sensorium_contract::process::{describe as describe_plugin, find_plugin};
pub use sensorium_contract::{
    Batching, Candidate, Capabilities, ChatCapabilities, ChatDelta, ChatEvent, ChatFinished, ChatImages, ChatMessage,
    ChatParameter, ChatPart, ChatRefused, ChatRequest, ChatStarted, ChatTool, Conversation, EmbedCapabilities,
    EmbedInput, EmbedPayload, Embedding, Filter, FinishReason, ImageCapabilities, ImageDone, ImageEvent,
    ImageParameter, ImagePreview, ImageRequest, ImageSpec, ImageStarted, ImageStep, InitImage, ItemError,
    ItemErrorCode, LoraWeight, MAX_STOPS, Manifest, Mask, Matryoshka, MessageLimits, Modality, OutputFormat, Prompt,
    RefusalCode, Refused, ResizeMode, RgbImage, Role, Sampling, Scoring, ScoringRule, Task, TokenLogprob, ToolCall,
    ToolChoice,
};
pub use summary::{ModelState, ModelSummary, ReloadSummary};
pub use supervision::Supervision;
pub use tokio_util::sync::CancellationToken;
