//! Vision-language and language models on mistral.rs, made safe to depend on.
//!
//! A load goes `checkpoint` (files, a private copy of the configuration) → `model` (what they say, checked; mistral.rs) →
//! `chat`. A request goes `prompt` (template, images, exact length) → `engine` (its turn, its sequence) while `sampling`
//! chooses each token in the engine's own thread, and comes back through `reply` (`text`, `tools`).

mod chat;
mod checkpoint;
mod engine;
mod error;
mod model;
mod options;
mod placement;
mod plugin;
mod pool;
mod prompt;
mod reply;
mod sampling;
mod text;
mod tools;
mod vision_fast;

pub use plugin::MistralrsPlugin;
