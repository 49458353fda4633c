//! Diffusion on libtorch.
#![forbid(unsafe_code)]
mod checkpoint;
mod config;
mod error;
mod lora;
mod nn;
pub mod noise;
pub mod schedulers;
mod text_encoder;
mod tokenizer;
mod unet;
mod vae;

pub use error::LoadError;
