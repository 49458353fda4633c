//! Layers for callers: weights are packed for a tier at run time, which no type shows, and nearly everything is a slice of
//! f32.

mod attention;
mod encoder;
mod maps;
mod patch_embed;

pub use attention::{AttentionRows, attend, attend_bf16, attention};
pub use encoder::{Encoder, EncoderShape, LayerWeights, LinearWeights, NormWeights};
pub use maps::{LayerNorm, Linear};
pub use patch_embed::{PatchEmbed, PixelAffine, RgbImages};
