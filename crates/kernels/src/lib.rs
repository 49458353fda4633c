//! CPU kernels: packed weights, register-blocked matrix products with fused epilogues, attention.
//!
//! Everything is written once, generic over a tier of instructions ([`Tier`]), and picked at run time. Operands of
//! matrix products are f32, or bf16 where the CPU multiplies it; sums, norms, softmax and the residual stream are f32.
//!
//! A product `C = A · Wᵀ` keeps `W` in panels as wide as a register tile and reads `A` row by row as it lies: the tile
//! runs over the whole inner dimension in registers, panels stream from the L2 cache, and what follows (bias,
//! activation, residual sum, narrowing) happens while the tile is still in L1. Threads share work by sequences, each
//! carrying its own through all layers, or, when there are too few, by columns and heads with a barrier between steps.
//!
//! [`Encoder`], [`Linear`], [`LayerNorm`], [`PatchEmbed`], [`attention`] and [`attend`] are what plugins build models from;
//! a [`Cpu`] says where they run.

mod activation;
mod arch;
mod attention;
mod buffer;
mod cpu;
mod layers;
mod math;
mod norm;
mod packed;
mod patches;
mod plan;
mod pool;
mod product;
mod rows;
mod simd;
mod stack;
mod standalone;
mod tier;
mod tile;

pub use activation::{Activation, UnknownActivation};
pub use cpu::{Cpu, CpuError};
pub use layers::{
    AttentionRows, Encoder, EncoderShape, LayerNorm, LayerWeights, Linear, LinearWeights, NormWeights, PatchEmbed,
    PixelAffine, RgbImages, attend, attend_bf16, attention,
};
pub use tier::Tier;
