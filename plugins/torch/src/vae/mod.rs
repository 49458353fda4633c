//! diffusers' `AutoencoderKL` (Kingma & Welling 2014; Rombach et al. 2022): between pixels and latents.

mod blocks;
mod model;
mod tiling;

pub use model::Vae;
