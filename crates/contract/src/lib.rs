//! The contract between the Sensorium host and its model plugins.
//!
//! `plugin.proto` is the only definition of what crosses the socket. This crate adds,
//! for plugins written in Rust, domain types that are valid by construction, one small
//! trait per task, and [`run`], which is the whole `main` of a plugin; and, for the
//! host, [`process`] and [`client`], which start a plugin and speak to it. Messages are
//! validated on both sides, by the same conversions. [`conformance`] checks any executable,
//! in whatever language. How to write one is told step by step in this crate's `README.md`.
//!
//! ```no_run
//! # struct MyPlugin;
//! # impl sensorium_contract::Plugin for MyPlugin {
//! #     fn manifest(&self) -> sensorium_contract::Manifest { unimplemented!() }
//! #     fn load(&self, _: &sensorium_contract::LoadRequest, _: &dyn Fn(sensorium_contract::LoadProgress))
//! #         -> Result<sensorium_contract::LoadedModel, sensorium_contract::PluginError> { unimplemented!() }
//! # }
//! fn main() -> std::process::ExitCode {
//!     sensorium_contract::run(MyPlugin)
//! }
//! ```
#![forbid(unsafe_code)]

mod capabilities;
mod chat;
pub mod client;
pub mod conformance;
mod convert;
mod embed;
mod error;
mod event;
mod handshake;
mod health;
mod image;
mod limits;
mod manifest;
mod plugin;
pub mod process;
mod refused;
mod reply;
mod serve;

pub use capabilities::{
    Batching, Capabilities, ChatCapabilities, ChatImages, ChatParameter, EmbedCapabilities, Filter, ImageSpec,
    MAX_WIDTH, Matryoshka, Modality, ResizeMode, Scoring, ScoringRule,
};
pub use chat::{
    Candidate, ChatDelta, ChatEvent, ChatFinished, ChatMessage, ChatPart, ChatRequest, ChatStarted, ChatTool,
    Conversation, FinishReason, MAX_STOPS, OutputFormat, Prompt, Role, Sampling, TokenLogprob, ToolCall, ToolChoice,
};
pub use embed::{
    EmbedInput, EmbedPayload, Embedding, ItemError, ItemErrorCode, MAX_IMAGE_SIDE, NORM_TOLERANCE, RgbImage,
};
pub use error::{Fault, Invalid, PluginError};
pub use event::{Moment, ReplyEvent};
pub use health::{Health, LoadState};
pub use image::{
    ImageCapabilities, ImageDone, ImageEvent, ImageExpected, ImageParameter, ImagePreview, ImageReply, ImageRequest,
    ImageStarted, ImageStep, InitImage, LoraWeight, MAX_IMAGES, MAX_PREVIEWS, MAX_STEPS, Mask,
};
pub use limits::MessageLimits;
pub use manifest::{Manifest, PROTOCOL, ProtocolVersion, Task};
pub use plugin::{CallContext, Chat, Embed, Imagine, LoadProgress, LoadRequest, LoadedModel, Plugin};
pub use refused::{ChatRefused, RefusalCode, Refused};
pub use reply::{ChatReply, Gone, Reply};
pub use serve::run;

/// The README's code is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The generated messages and services of `plugin.proto`.
#[allow(missing_docs, clippy::all, unreachable_pub, reason = "generated")]
pub mod proto {
    tonic::include_proto!("sensorium.plugin.v1");
}
