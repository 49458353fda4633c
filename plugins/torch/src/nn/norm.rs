//! Normalisation over groups of channels, and over the last dimension.

use tch::Tensor;

use crate::{checkpoint::Scope, error::LoadError};

/// Group normalisation (Wu & He 2018).
pub(crate) struct GroupNorm {
    weight: Tensor,
    bias: Tensor,
    groups: i64,
    eps: f64,
}

/// Layer normalisation over the last dimension (Ba et al. 2016).
pub(crate) struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

// === impl GroupNorm ===

impl GroupNorm {
    /// `weight` and `bias` of `[channels]`.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape. The configuration has seen to it that the groups divide the channels.
    pub(crate) fn load(scope: &Scope<'_>, groups: i64, channels: i64, eps: f64) -> Result<Self, LoadError> {
        Ok(Self {
            weight: scope.tensor("weight", &[channels])?,
            bias: scope.tensor("bias", &[channels])?,
            groups,
            eps,
        })
    }

    /// `[b, channels, h, w]` -> the same, in the memory layout of the input.
    pub(crate) fn forward(&self, x: &Tensor) -> Tensor {
        x.group_norm(self.groups, Some(&self.weight), Some(&self.bias), self.eps, true)
    }

    /// The same in the memory of `x`, f32 and channels-last, of which nobody else holds a view. libtorch has no such norm;
    /// this one passes over `x` three times.
    pub(super) fn forward_in_place(&self, x: Tensor) -> Tensor {
        let (b, c, h, w) = x.size4().expect("an image tensor has four dimensions");
        let of_group = [1, 1, self.groups, c / self.groups];
        let mut pixels = x.permute([0, 2, 3, 1]).view([b, h * w, self.groups, c / self.groups]);
        let over = [1, 3];
        let (variance, mean) = pixels.var_mean_dim(over.as_slice(), false, true);
        let gain = (variance + self.eps).rsqrt() * self.weight.view(of_group);
        let shift = self.bias.view(of_group) - mean * &gain;
        pixels *= gain;
        pixels += shift;
        x
    }
}

// === impl LayerNorm ===

impl LayerNorm {
    /// `weight` and `bias` of `[width]`.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub(crate) fn load(scope: &Scope<'_>, width: i64, eps: f64) -> Result<Self, LoadError> {
        Ok(Self {
            weight: scope.tensor("weight", &[width])?,
            bias: scope.tensor("bias", &[width])?,
            eps,
        })
    }

    /// `[.., width]` -> the same.
    pub(crate) fn forward(&self, x: &Tensor) -> Tensor {
        x.layer_norm(self.weight.size(), Some(&self.weight), Some(&self.bias), self.eps, true)
    }
}
