//! Low-rank adapters (LoRA, Hu et al. 2021): named in the registry's options, read with the model, and weighed per request.
//!
//! They stay beside the weights and are added when a layer runs, so that calls with different adapters, or none, can
//! follow each other step by step, and a model that has run with one is bit for bit what it was.

mod adapters;
mod names;
mod set;

pub(crate) use adapters::Adapters;
pub use set::LoraFile;
pub(crate) use set::{ActiveLoras, Loras, RawAdapter};
