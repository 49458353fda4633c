//! CLIP-like towers and text embedders on candle, with CPU kernels of our own where big matrices count.
//!
//! A load goes `checkpoint` (files, safetensors) → `config`, `preprocess`, `tokenizer`, `sentence` (what the files say,
//! validated) → `model` (towers of `nn` layers) → `embedder` (batches). [`CandlePlugin`] is the whole of it to the
//! outside; `nn` stands alone, on `sensorium-kernels`; `sensorium-checkpoint` reads the directory.

mod checkpoint;
mod config;
mod embedder;
mod error;
mod model;
pub mod nn;
mod options;
mod placement;
mod plugin;
mod preprocess;
mod sentence;
mod tokenizer;

pub use plugin::CandlePlugin;
