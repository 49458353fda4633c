//! The residual block of UNets and autoencoders (Ho et al. 2020).

use tch::{Device, Kind, Tensor};

use super::{Activation, Conv2d, GroupNorm, Linear};
use crate::{checkpoint::Scope, error::LoadError};

/// Numbers of a tensor from which on its memory is worth a slower norm: 128 MB.
const LARGE: usize = 32 << 20;

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

    /// As [`Resnet::forward`] without a timestep, and `x` is gone: a large one is normalised where it lies, for where channels
    /// become fewer, input, norm and output together would be the most that an autoencoder ever holds.
    pub(crate) fn consume(&self, x: Tensor) -> Tensor {
        let large = x.kind() == Kind::Float && x.device() == Device::Cpu && x.numel() >= LARGE;
        let Some(shortcut) = self.shortcut.as_ref().filter(|_| large) else {
            return self.forward(&x, None);
        };
        let rest = shortcut.forward(&x);
        let normed = self.activation.apply(self.norm1.forward_in_place(x));
        let hidden = self.conv1.forward(&normed);
        drop(normed);
        let normed = self.norm2.forward(&hidden);
        drop(hidden);
        let mut hidden = self.conv2.forward(&self.activation.apply(normed));
        hidden += rest;
        hidden
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        checkpoint::{ModelDir, Target, Weights},
        lora::Loras,
        nn::channels_last,
    };

    /// `[1, 64, side, side]` numbers are just enough to be large.
    #[test]
    fn a_large_image_is_consumed_as_any_other() {
        let (input, output, side) = (64, 32, 725);
        let made = |size: &[i64]| Tensor::randn(size, (Kind::Float, Device::Cpu));
        tch::manual_seed(1);
        let tensors = [
            ("norm1.weight", made(&[input])),
            ("norm1.bias", made(&[input])),
            ("conv1.weight", made(&[output, input, 3, 3]) * 0.05),
            ("conv1.bias", made(&[output])),
            ("norm2.weight", made(&[output])),
            ("norm2.bias", made(&[output])),
            ("conv2.weight", made(&[output, output, 3, 3]) * 0.05),
            ("conv2.bias", made(&[output])),
            ("conv_shortcut.weight", made(&[output, input, 1, 1]) * 0.1),
            ("conv_shortcut.bias", made(&[output])),
        ];
        let temp = tempfile::tempdir().expect("temp dir");
        Tensor::write_safetensors(&tensors, temp.path().join("model.safetensors")).expect("written");
        let dir = ModelDir::open(temp.path()).expect("opens");
        let target = Target {
            device: Device::Cpu,
            kind: Kind::Float,
        };
        let weights = Weights::open(&dir, "model", target, &|_| {}).expect("opens");
        let loras = Loras::default();
        let shape = ResnetShape {
            input,
            output,
            embedding: None,
            groups: 8,
            eps: 1e-6,
            activation: Activation::Silu,
        };
        let resnet = Resnet::load(&Scope::new(&weights, &loras, "vae"), shape).expect("loads");
        let x = channels_last(&(made(&[1, input, side, side]) * 2.0 + 0.5));
        assert!(x.numel() >= LARGE);
        let want = resnet.forward(&x, None);
        let got = resnet.consume(x);
        let error = f64::try_from((&got - &want).norm() / want.norm()).expect("a number");
        // libtorch's norm is 2e-5 from the exact one at this size, ours 5e-8.
        assert!(error < 1e-4, "{error}");
    }
}
