//! The residual block of UNets and autoencoders (Ho et al. 2020).

use tch::Tensor;

use super::{Activation, Conv2d, GroupNorm, Linear};
use crate::{checkpoint::Scope, error::LoadError};

/// What a residual block is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResnetShape {
    /// Channels that come in.
    pub(crate) input: i64,
    /// Channels that go out.
    pub(crate) output: i64,
    /// Width of the timestep's embedding; `None`: it isn't told the timestep.
    pub(crate) embedding: Option<i64>,
    /// Groups of its norms.
    pub(crate) groups: i64,
    /// Added to variances.
    pub(crate) eps: f64,
    /// Between norm and convolution.
    pub(crate) activation: Activation,
}

/// Norm, activation, convolution, twice; the timestep is added between, the input at the end.
pub(crate) struct Resnet {
    norm1: GroupNorm,
    conv1: Conv2d,
    embedding: Option<Linear>,
    norm2: GroupNorm,
    conv2: Conv2d,
    shortcut: Option<Conv2d>,
    activation: Activation,
}

// === impl Resnet ===

impl Resnet {
    /// Reads a block.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub(crate) fn load(scope: &Scope<'_>, shape: ResnetShape) -> Result<Self, LoadError> {
        let ResnetShape {
            input,
            output,
            groups,
            eps,
            ..
        } = shape;
        let embedding = shape
            .embedding
            .map(|width| Linear::load(&scope.sub("time_emb_proj"), output, width));
        let shortcut = (input != output).then(|| Conv2d::load(&scope.sub("conv_shortcut"), output, input, 1));
        Ok(Self {
            norm1: GroupNorm::load(&scope.sub("norm1"), groups, input, eps)?,
            conv1: Conv2d::load(&scope.sub("conv1"), output, input, 3)?,
            embedding: embedding.transpose()?,
            norm2: GroupNorm::load(&scope.sub("norm2"), groups, output, eps)?,
            conv2: Conv2d::load(&scope.sub("conv2"), output, output, 3)?,
            shortcut: shortcut.transpose()?,
            activation: shape.activation,
        })
    }

    /// `[b, input, h, w]` -> `[b, output, h, w]`. `embedding` is the timestep's, `[b, width]`, already activated.
    pub(crate) fn forward(&self, x: &Tensor, embedding: Option<&Tensor>) -> Tensor {
        let mut hidden = self.conv1.forward(&self.activation.apply(self.norm1.forward(x)));
        if let (Some(map), Some(embedding)) = (&self.embedding, embedding) {
            hidden += map.forward(embedding).unsqueeze(-1).unsqueeze(-1);
        }
        // Each tensor goes as soon as it has been read: here an autoencoder needs most memory.
        let normed = self.norm2.forward(&hidden);
        drop(hidden);
        let mut hidden = self.conv2.forward(&self.activation.apply(normed));
        match &self.shortcut {
            Some(shortcut) => hidden += shortcut.forward(x),
            None => hidden += x,
        }
        hidden
    }
}
