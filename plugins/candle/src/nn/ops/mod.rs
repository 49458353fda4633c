//! The same layers as plain candle tensor operations: what runs on a GPU, and the reference for the CPU kernels.

mod attention;
mod encoder;
mod layers;
mod ragged;

pub(crate) use attention::attention;
pub(crate) use encoder::Encoder;
pub(crate) use layers::{LayerNorm, Linear, PatchEmbed};

use candle_core::{DType, Device};

use super::Compute;

/// The format tensor operations use: `compute`'s own on a GPU, f32 on the CPU, where others gain nothing.
fn tensor_dtype(compute: &Compute) -> DType {
    match compute.device {
        Device::Cpu => DType::F32,
        _ => compute.dtype,
    }
}
