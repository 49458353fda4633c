//! Diffusion on libtorch: Stable Diffusion 1, 2 and XL as diffusers lays them out.
//!
//! A load goes `checkpoint` (files, safetensors) → `config`, `tokenizer` (what the files say, validated) → `nn`,
//! [`text_encoder`], [`unet`], [`vae`] (networks) → [`pipeline`] (a task to latents, step by step, to pixels), which takes
//! its samplers from [`schedulers`] and its noise from [`noise`]. `worker` is the thread that owns the pipeline and lets
//! all calls advance together.
#![deny(unsafe_code)]

mod checkpoint;
mod config;
mod error;
mod lora;
pub mod memory;
mod nn;
pub mod noise;
mod options;
pub mod pipeline;
mod placement;
mod plugin;
pub mod schedulers;
pub mod text_encoder;
mod tokenizer;
pub mod unet;
pub mod vae;
mod worker;

pub use checkpoint::Target;
pub use error::LoadError;
pub use lora::LoraFile;
pub use plugin::TorchPlugin;
