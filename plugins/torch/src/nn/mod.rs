//! Layers on libtorch. A layer reads its tensors from a `Scope` and maps tensors to tensors; none keeps state.
//!
//! Images are `[batch, channels, height, width]` in shape and channels-last in memory: oneDNN and cuDNN convolve that
//! layout without reordering, and a transformer reads it as `[batch, height * width, channels]` without a copy.
//!
//! Layers use tch's methods that panic where libtorch throws (out of memory, mostly); whoever runs a network catches that
//! at its edge, since half a forward pass is of no use to anybody.

mod activation;
mod attention;
mod conv;
mod feed_forward;
mod kernels;
mod layout;
mod linear;
mod norm;
mod resnet;
mod timestep;
mod transformer;

pub(crate) use activation::Activation;
pub(crate) use attention::{Attention, attend};
pub(crate) use conv::Conv2d;
pub(crate) use kernels::kernels;
pub(crate) use layout::{channels_last, from_tokens, to_tokens};
pub(crate) use linear::Linear;
pub(crate) use norm::{GroupNorm, LayerNorm};
pub(crate) use resnet::{Resnet, ResnetShape};
pub(crate) use timestep::{TimestepEmbedding, sinusoid};
pub(crate) use transformer::{SpatialTransformer, TransformerShape};
