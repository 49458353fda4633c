//! Layer normalisation over the last dimension.

use candle_core::{Result, Tensor};

use super::{Compute, NormWeights, ops};

/// `(x − mean) / sqrt(var + eps) · weight + bias`, row by row, in f32.
#[derive(Debug)]
pub struct LayerNorm(ops::LayerNorm);

impl LayerNorm {
    /// Prepares `weights` for `compute`.
    ///
    /// # Errors
    /// When the weights cannot be converted to f32 on the device.
    pub fn new(weights: NormWeights, eps: f64, compute: &Compute) -> Result<Self> {
        Ok(Self(ops::LayerNorm::new(weights, eps, compute)?))
    }

    /// Normalises each row of f32 `[n, hidden]`.
    ///
    /// # Errors
    /// When `x` is not `[n, hidden]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.0.forward(x)
    }
}
