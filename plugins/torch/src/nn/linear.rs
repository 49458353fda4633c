//! `y = x Wᵀ + b`, with low-rank adapters.

use tch::Tensor;

use crate::{checkpoint::Scope, error::LoadError, lora::Adapters};

/// A linear map of the last dimension.
pub(crate) struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
    adapters: Adapters,
}

// === impl Linear ===

impl Linear {
    /// `weight` of `[out, input]` and `bias` of `[out]`.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub(crate) fn load(scope: &Scope<'_>, out: i64, input: i64) -> Result<Self, LoadError> {
        let bias = Some(scope.tensor("bias", &[out])?);
        Ok(Self {
            bias,
            ..Self::load_without_bias(scope, out, input)?
        })
    }

    /// `weight` of `[out, input]` alone.
    ///
    /// # Errors
    /// As [`Linear::load`].
    pub(crate) fn load_without_bias(scope: &Scope<'_>, out: i64, input: i64) -> Result<Self, LoadError> {
        Ok(Self {
            weight: scope.tensor("weight", &[out, input])?,
            bias: None,
            adapters: Adapters::linear(scope, out, input)?,
        })
    }

    /// A 1x1 convolution, which is a linear map of the channels: `weight` may have two more sides of 1.
    ///
    /// # Errors
    /// As [`Linear::load`].
    pub(crate) fn load_pointwise(scope: &Scope<'_>, out: i64, input: i64) -> Result<Self, LoadError> {
        Self::load(scope, out, input)
    }

    /// `[.., input]` -> `[.., out]`.
    pub(crate) fn forward(&self, x: &Tensor) -> Tensor {
        let y = x.linear(&self.weight, self.bias.as_ref());
        self.adapters.add_linear(x, y)
    }
}
