//! Two-dimensional convolution in channels-last memory, with low-rank adapters.

use tch::Tensor;

use super::channels_last;
use crate::{checkpoint::Scope, error::LoadError, lora::Adapters};

/// A convolution with a bias.
pub(crate) struct Conv2d {
    weight: Tensor,
    bias: Tensor,
    stride: i64,
    padding: i64,
    adapters: Adapters,
}

// === impl Conv2d ===

impl Conv2d {
    /// `weight` of `[out, input, kernel, kernel]` and `bias` of `[out]`; stride 1, sides kept.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub(crate) fn load(scope: &Scope<'_>, out: i64, input: i64, kernel: i64) -> Result<Self, LoadError> {
        Self::load_strided(scope, [out, input, kernel], 1, kernel / 2)
    }

    /// The same with a stride and a padding; `[out, input, kernel]`.
    ///
    /// # Errors
    /// As [`Conv2d::load`].
    pub(crate) fn load_strided(
        scope: &Scope<'_>,
        [out, input, kernel]: [i64; 3],
        stride: i64,
        padding: i64,
    ) -> Result<Self, LoadError> {
        Ok(Self {
            weight: channels_last(&scope.tensor("weight", &[out, input, kernel, kernel])?),
            bias: scope.tensor("bias", &[out])?,
            stride,
            padding,
            adapters: Adapters::conv(scope, [out, input, kernel])?,
        })
    }

    /// `[b, input, h, w]` -> `[b, out, h', w']`.
    pub(crate) fn forward(&self, x: &Tensor) -> Tensor {
        let (stride, padding) = ([self.stride; 2], [self.padding; 2]);
        let y = x.conv2d(&self.weight, Some(&self.bias), stride, padding, [1, 1], 1);
        self.adapters.add_conv(x, y, self.stride, self.padding)
    }
}
