//! A linear map, `x · Wᵀ + b`.

use candle_core::{Result, Tensor};

use super::{Compute, LinearWeights, cpu, ops};

/// A linear map with its weights prepared for one [`Compute`].
#[derive(Debug)]
pub struct Linear(Inner);

#[derive(Debug)]
enum Inner {
    Kernels(cpu::Linear),
    Tensors(ops::Linear),
}

impl Linear {
    /// Prepares `weights` (`[out, in]`, bias `[out]`) for `compute`.
    ///
    /// # Errors
    /// When the shapes do not fit each other.
    pub fn new(weights: LinearWeights, compute: &Compute) -> Result<Self> {
        weights.check()?;
        Ok(Self(match compute.cpu() {
            Some(cpu) => Inner::Kernels(cpu::Linear::new(&weights, cpu)?),
            None => Inner::Tensors(ops::Linear::new(weights, compute)?),
        }))
    }

    /// Maps f32 `[n, in]` to f32 `[n, out]`.
    ///
    /// # Errors
    /// When `x` is not `[n, in]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match &self.0 {
            Inner::Kernels(linear) => linear.forward(x),
            Inner::Tensors(linear) => linear.forward_f32(x),
        }
    }
}
