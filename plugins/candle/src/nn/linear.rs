//! A linear map, `x · Wᵀ + b`.

use candle_core::{Result, Tensor};

use super::{Compute, LinearWeights, ops};

/// A linear map with its weights prepared for one [`Compute`].
#[derive(Debug)]
pub struct Linear(ops::Linear);

impl Linear {
    /// Prepares `weights` (`[out, in]`, bias `[out]`) for `compute`.
    ///
    /// # Errors
    /// When the shapes do not fit each other.
    pub fn new(weights: LinearWeights, compute: &Compute) -> Result<Self> {
        weights.check()?;
        Ok(Self(ops::Linear::new(weights, compute)?))
    }

    /// Maps f32 `[n, in]` to f32 `[n, out]`.
    ///
    /// # Errors
    /// When `x` is not `[n, in]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.0.forward_f32(x)
    }
}
