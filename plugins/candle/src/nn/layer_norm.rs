//! Layer normalisation over the last dimension.

use candle_core::{Result, Tensor};

use super::{Compute, NormWeights, cpu, ops};

/// `(x − mean) / sqrt(var + eps) · weight + bias`, row by row, in f32.
#[derive(Debug)]
pub struct LayerNorm(Inner);

#[derive(Debug)]
enum Inner {
    Kernels(cpu::LayerNorm),
    Tensors(ops::LayerNorm),
}

impl LayerNorm {
    /// Prepares `weights` for `compute`.
    ///
    /// # Errors
    /// When weight and bias are not vectors of one length.
    pub fn new(weights: NormWeights, eps: f64, compute: &Compute) -> Result<Self> {
        weights.check()?;
        Ok(Self(match compute.cpu() {
            Some(cpu) => Inner::Kernels(cpu::LayerNorm::new(&weights, eps, cpu)?),
            None => Inner::Tensors(ops::LayerNorm::new(weights, eps, compute)?),
        }))
    }

    /// Normalises each row of f32 `[n, hidden]`.
    ///
    /// # Errors
    /// When `x` is not `[n, hidden]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match &self.0 {
            Inner::Kernels(norm) => norm.forward(x),
            Inner::Tensors(norm) => norm.forward(x),
        }
    }
}
