//! Transformer layers for embedding models: an encoder over ragged sequences, linear maps, layer norms, patch
//! embedding and attention.
//!
//! Every layer is built from the weights as loaded and a [`Compute`], which says where and in which number format to
//! run. On the CPU activations are f32 and weights are packed once, at load; on a GPU the same layers run as candle
//! tensor operations in the given format. Sequences of different lengths lie one after another, without padding.

mod attention;
mod compute;
mod cpu;
mod encoder;
mod layer_norm;
mod linear;
mod ops;
mod patch_embed;
#[cfg(test)]
mod tests;
mod weights;

pub use attention::{AttentionShape, attention};
pub use compute::Compute;
pub use encoder::Encoder;
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use patch_embed::{PatchEmbed, PixelScale};
pub use sensorium_kernels::Activation;
pub use weights::{EncoderConfig, LayerWeights, LinearWeights, NormPlacement, NormWeights};
