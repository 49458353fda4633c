//! The encoder and the decoder.

use tch::Tensor;

use crate::{
    checkpoint::Scope,
    config::VaeConfig,
    error::LoadError,
    nn::{Attention, Conv2d, GroupNorm, Resnet, ResnetShape, from_tokens, to_tokens},
};

/// Added to variances everywhere.
const EPS: f64 = 1e-6;

/// Pixels to the mean and the logarithm of the variance of latents.
pub(super) struct Encoder {
    conv_in: Conv2d,
    levels: Vec<Level>,
    middle: Middle,
    head: Head,
}

/// Latents to pixels.
pub(super) struct Decoder {
    conv_in: Conv2d,
    middle: Middle,
    levels: Vec<Level>,
    head: Head,
}

/// One resolution, and the convolution that leads to the next.
struct Level {
    resnets: Vec<Resnet>,
    next: Option<Conv2d>,
}

/// The innermost resolution.
struct Middle {
    first: Resnet,
    attention: Option<(GroupNorm, Attention)>,
    second: Resnet,
}

/// Norm, activation and convolution at the end.
struct Head {
    norm: GroupNorm,
    conv: Conv2d,
    config: VaeConfig,
}

fn shape(config: &VaeConfig, input: i64, output: i64) -> ResnetShape {
    ResnetShape {
        input,
        output,
        embedding: None,
        groups: config.groups,
        eps: EPS,
        activation: config.activation,
    }
}

// === impl Encoder ===

impl Encoder {
    pub(super) fn load(scope: &Scope<'_>, config: &VaeConfig) -> Result<Self, LoadError> {
        let channels = &config.channels;
        let (first, last) = (channels[0], channels[channels.len() - 1]);
        let mut levels = Vec::new();
        for (at, output) in channels.iter().enumerate() {
            let scope = scope.sub("down_blocks").sub(at);
            let input = channels[at.saturating_sub(1)];
            let conv = scope.sub("downsamplers.0.conv");
            let next = (at + 1 < channels.len()).then(|| Conv2d::load_strided(&conv, [*output, *output, 3], 2, 0));
            levels.push(Level {
                resnets: load_resnets(&scope, config, config.resnets, input, *output)?,
                next: next.transpose()?,
            });
        }
        Ok(Self {
            conv_in: Conv2d::load(&scope.sub("conv_in"), first, 3, 3)?,
            levels,
            middle: Middle::load(&scope.sub("mid_block"), config, last)?,
            head: Head::load(scope, config, last, 2 * config.latent_channels)?,
        })
    }

    /// `[b, 3, h, w]` -> `[b, 2 * latent_channels, h / reduction, w / reduction]`.
    pub(super) fn forward(&self, x: &Tensor) -> Tensor {
        let mut x = self.conv_in.forward(x);
        for level in &self.levels {
            for resnet in &level.resnets {
                x = resnet.forward(&x, None);
            }
            if let Some(conv) = &level.next {
                // The one row and column too few are added at the bottom and the right.
                x = conv.forward(&x.constant_pad_nd([0, 1, 0, 1]));
            }
        }
        self.head.forward(&self.middle.forward(&x))
    }
}

// === impl Decoder ===

impl Decoder {
    pub(super) fn load(scope: &Scope<'_>, config: &VaeConfig) -> Result<Self, LoadError> {
        let channels: Vec<i64> = config.channels.iter().rev().copied().collect();
        let mut levels = Vec::new();
        for (at, output) in channels.iter().enumerate() {
            let scope = scope.sub("up_blocks").sub(at);
            let input = channels[at.saturating_sub(1)];
            let conv = scope.sub("upsamplers.0.conv");
            let next = (at + 1 < channels.len()).then(|| Conv2d::load(&conv, *output, *output, 3));
            levels.push(Level {
                resnets: load_resnets(&scope, config, config.resnets + 1, input, *output)?,
                next: next.transpose()?,
            });
        }
        Ok(Self {
            conv_in: Conv2d::load(&scope.sub("conv_in"), channels[0], config.latent_channels, 3)?,
            middle: Middle::load(&scope.sub("mid_block"), config, channels[0])?,
            levels,
            head: Head::load(scope, config, config.channels[0], 3)?,
        })
    }

    /// `[b, latent_channels, h, w]` -> `[b, 3, h * reduction, w * reduction]`.
    pub(super) fn forward(&self, x: &Tensor) -> Tensor {
        let mut x = self.middle.forward(&self.conv_in.forward(x));
        for level in &self.levels {
            for resnet in &level.resnets {
                x = resnet.consume(x);
            }
            if let Some(conv) = &level.next {
                let size = x.size();
                x = x.upsample_nearest2d([2 * size[2], 2 * size[3]], None, None);
                x = conv.forward(&x);
            }
        }
        self.head.forward(&x)
    }
}

fn load_resnets(
    scope: &Scope<'_>,
    config: &VaeConfig,
    count: i64,
    input: i64,
    output: i64,
) -> Result<Vec<Resnet>, LoadError> {
    let resnets = (0..count).map(|at| {
        let input = if at == 0 { input } else { output };
        Resnet::load(&scope.sub("resnets").sub(at), shape(config, input, output))
    });
    resnets.collect()
}

// === impl Middle ===

impl Middle {
    fn load(scope: &Scope<'_>, config: &VaeConfig, channels: i64) -> Result<Self, LoadError> {
        let attention = config.mid_attention.then(|| {
            let scope = scope.sub("attentions.0");
            let norm = GroupNorm::load(&scope.sub("group_norm"), config.groups, channels, EPS)?;
            Ok::<_, LoadError>((norm, Attention::load_biased(&scope, channels)?))
        });
        Ok(Self {
            first: Resnet::load(&scope.sub("resnets.0"), shape(config, channels, channels))?,
            attention: attention.transpose()?,
            second: Resnet::load(&scope.sub("resnets.1"), shape(config, channels, channels))?,
        })
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let mut x = self.first.forward(x, None);
        if let Some((norm, attention)) = &self.attention {
            let size = x.size();
            let tokens = to_tokens(&norm.forward(&x));
            x += from_tokens(&attention.forward(&tokens, &tokens), size[2], size[3]);
        }
        self.second.forward(&x, None)
    }
}

// === impl Head ===

impl Head {
    fn load(scope: &Scope<'_>, config: &VaeConfig, input: i64, output: i64) -> Result<Self, LoadError> {
        Ok(Self {
            norm: GroupNorm::load(&scope.sub("conv_norm_out"), config.groups, input, EPS)?,
            conv: Conv2d::load(&scope.sub("conv_out"), output, input, 3)?,
            config: config.clone(),
        })
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        self.conv.forward(&self.config.activation.apply(self.norm.forward(x)))
    }
}
