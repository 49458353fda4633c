//! CPU kernels: packed weights, register-blocked matrix products with fused epilogues, attention over short sequences.
//!
//! Everything is written once, generic over a tier of instructions ([`Tier`]), and picked at run time. Operands of
//! matrix products are f32, or bf16 where the CPU multiplies it; sums, norms, softmax and the residual stream are f32.
//!
//! A product `C = A · Wᵀ` keeps `W` in panels as wide as a register tile and reads `A` row by row as it lies: the tile
//! runs over the whole inner dimension in registers, panels stream from the L2 cache, and what follows (bias,
//! activation, residual sum, narrowing) happens while the tile is still in L1. Threads share work by sequences, each
//! carrying its own through all layers, or, when there are too few, by columns and heads with a barrier between steps.

mod activation;
pub(crate) mod arch;
mod attention;
mod buffer;
mod encoder;
mod math;
mod norm;
mod packed;
mod patches;
mod plan;
mod pool;
mod product;
mod rows;
mod simd;
mod standalone;
mod tier;
mod tile;

pub use activation::Activation;
pub(crate) use encoder::{Layer, Stack, StackShape};
pub(crate) use norm::Norm;
pub(crate) use packed::Packed;
pub(crate) use patches::{Images, Patches, PixelAffine};
pub use pool::Pool;
pub(crate) use simd::Kernel;
pub(crate) use standalone::{Attention, attention, layer_norm, linear};
pub use tier::Tier;
pub(crate) use tier::with_kernel;
