//! `y = x Wᵀ + b`, with low-rank adapters.

use sensorium_kernels as kernels;
use tch::Tensor;

use super::kernels::{linear, pack};
use crate::{checkpoint::Scope, error::LoadError, lora::Adapters};

/// A linear map of the last dimension.
pub(crate) struct Linear {
    map: Map,
    adapters: Adapters,
}

/// Who computes it, and what of.
enum Map {
    Kernels(kernels::Linear),
    Torch { weight: Tensor, bias: Option<Tensor> },
}

// === impl Linear ===

impl Linear {
    /// `weight` of `[out, input]` and `bias` of `[out]`.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub(crate) fn load(scope: &Scope<'_>, out: i64, input: i64) -> Result<Self, LoadError> {
        let bias = scope.tensor("bias", &[out])?;
        Self::with(scope, out, input, Some(bias))
    }

    /// `weight` of `[out, input]` alone.
    ///
    /// # Errors
    /// As [`Linear::load`].
    pub(crate) fn load_without_bias(scope: &Scope<'_>, out: i64, input: i64) -> Result<Self, LoadError> {
        Self::with(scope, out, input, None)
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
        let y = match &self.map {
            Map::Kernels(map) => linear(map, x),
            Map::Torch { weight, bias } => x.linear(weight, bias.as_ref()),
        };
        self.adapters.add_linear(x, y)
    }

    fn with(scope: &Scope<'_>, out: i64, input: i64, bias: Option<Tensor>) -> Result<Self, LoadError> {
        let weight = scope.tensor("weight", &[out, input])?;
        let packed = scope.kernels().and_then(|cpu| pack(&weight, bias.as_ref(), cpu));
        Ok(Self {
            map: packed.map_or_else(|| Map::Torch { weight, bias }, Map::Kernels),
            adapters: Adapters::linear(scope, out, input)?,
        })
    }
}
