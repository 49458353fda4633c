//! The blocks of a UNet: one resolution on the way down, the middle, one resolution on the way up.

use tch::Tensor;

use crate::{
    checkpoint::Scope,
    config::UnetConfig,
    error::LoadError,
    nn::{Conv2d, Resnet, ResnetShape, SpatialTransformer, TransformerShape},
};

/// What all blocks of a forward pass are given.
pub(super) struct Conditions<'a> {
    /// The timestep's embedding, activated, `[b, width]`.
    pub(super) embedding: &'a Tensor,
    /// The prompt's states, `[b, tokens, context]`.
    pub(super) context: &'a Tensor,
}

/// One resolution on the way down.
pub(super) struct DownBlock {
    resnets: Vec<Resnet>,
    /// One for each residual block, or none.
    attentions: Vec<SpatialTransformer>,
    downsample: Option<Conv2d>,
}

/// The innermost resolution.
pub(super) struct MidBlock {
    first: Resnet,
    attention: SpatialTransformer,
    second: Resnet,
}

/// One resolution on the way up.
pub(super) struct UpBlock {
    resnets: Vec<Resnet>,
    attentions: Vec<SpatialTransformer>,
    upsample: Option<Conv2d>,
}

fn resnet_shape(config: &UnetConfig, embedding: i64, input: i64, output: i64) -> ResnetShape {
    ResnetShape {
        input,
        output,
        embedding: Some(embedding),
        groups: config.groups,
        eps: config.eps,
        activation: config.activation,
    }
}

fn transformer_shape(config: &UnetConfig, level: usize) -> TransformerShape {
    let block = &config.blocks[level];
    TransformerShape {
        channels: block.channels,
        heads: block.heads,
        layers: block.transformers,
        context: config.context,
        groups: config.groups,
        only_cross: config.only_cross_attention[level],
    }
}

// === impl DownBlock ===

impl DownBlock {
    /// The block of a level, 0 the outermost; `embedding` is the width of the timestep's.
    pub(super) fn load(
        scope: &Scope<'_>,
        config: &UnetConfig,
        level: usize,
        embedding: i64,
    ) -> Result<Self, LoadError> {
        let block = &config.blocks[level];
        let before = config.blocks[level.saturating_sub(1)].channels;
        let (mut resnets, mut attentions) = (Vec::new(), Vec::new());
        for at in 0..block.resnets {
            let input = if at == 0 { before } else { block.channels };
            let shape = resnet_shape(config, embedding, input, block.channels);
            resnets.push(Resnet::load(&scope.sub("resnets").sub(at), shape)?);
            if block.attention {
                let scope = scope.sub("attentions").sub(at);
                attentions.push(SpatialTransformer::load(&scope, transformer_shape(config, level))?);
            }
        }
        let is_last = level + 1 == config.blocks.len();
        let sides = [block.channels, block.channels, 3];
        let conv = scope.sub("downsamplers.0.conv");
        let downsample = (!is_last).then(|| Conv2d::load_strided(&conv, sides, 2, config.downsample_padding));
        Ok(Self {
            resnets,
            attentions,
            downsample: downsample.transpose()?,
        })
    }

    /// Keeps what the way up will want in `skips`.
    pub(super) fn forward(&self, mut x: Tensor, conditions: &Conditions<'_>, skips: &mut Vec<Tensor>) -> Tensor {
        for (at, resnet) in self.resnets.iter().enumerate() {
            x = resnet.forward(&x, Some(conditions.embedding));
            if let Some(attention) = self.attentions.get(at) {
                x = attention.forward(&x, conditions.context);
            }
            skips.push(x.shallow_clone());
        }
        if let Some(conv) = &self.downsample {
            x = conv.forward(&x);
            skips.push(x.shallow_clone());
        }
        x
    }
}

// === impl MidBlock ===

impl MidBlock {
    /// The block between down and up.
    pub(super) fn load(scope: &Scope<'_>, config: &UnetConfig, embedding: i64) -> Result<Self, LoadError> {
        let level = config.blocks.len() - 1;
        let channels = config.blocks[level].channels;
        let shape = resnet_shape(config, embedding, channels, channels);
        let attention = TransformerShape {
            only_cross: false,
            ..transformer_shape(config, level)
        };
        Ok(Self {
            first: Resnet::load(&scope.sub("resnets.0"), shape)?,
            attention: SpatialTransformer::load(&scope.sub("attentions.0"), attention)?,
            second: Resnet::load(&scope.sub("resnets.1"), shape)?,
        })
    }

    pub(super) fn forward(&self, x: &Tensor, conditions: &Conditions<'_>) -> Tensor {
        let x = self.first.forward(x, Some(conditions.embedding));
        let x = self.attention.forward(&x, conditions.context);
        self.second.forward(&x, Some(conditions.embedding))
    }
}

// === impl UpBlock ===

impl UpBlock {
    /// The block at position `at` of the way up, 0 the innermost.
    pub(super) fn load(scope: &Scope<'_>, config: &UnetConfig, at: usize, embedding: i64) -> Result<Self, LoadError> {
        let last = config.blocks.len() - 1;
        let level = last - at;
        let block = &config.blocks[level];
        let below = config.blocks[(level + 1).min(last)].channels;
        let above = config.blocks[level.saturating_sub(1)].channels;
        let (mut resnets, mut attentions) = (Vec::new(), Vec::new());
        for index in 0..=block.resnets {
            // Each takes what the way down has kept beside what comes from below.
            let skip = if index == block.resnets { above } else { block.channels };
            let input = if index == 0 { below } else { block.channels };
            let shape = resnet_shape(config, embedding, input + skip, block.channels);
            resnets.push(Resnet::load(&scope.sub("resnets").sub(index), shape)?);
            if config.up_attention[at] {
                let scope = scope.sub("attentions").sub(index);
                attentions.push(SpatialTransformer::load(&scope, transformer_shape(config, level))?);
            }
        }
        let conv = scope.sub("upsamplers.0.conv");
        let upsample = (level != 0).then(|| Conv2d::load(&conv, block.channels, block.channels, 3));
        Ok(Self {
            resnets,
            attentions,
            upsample: upsample.transpose()?,
        })
    }

    /// Takes what the way down has kept from the end of `skips`.
    pub(super) fn forward(&self, mut x: Tensor, conditions: &Conditions<'_>, skips: &mut Vec<Tensor>) -> Tensor {
        for (at, resnet) in self.resnets.iter().enumerate() {
            let skip = skips.pop().expect("the way down keeps one for each");
            let both = Tensor::cat(&[x, skip], 1);
            x = resnet.forward(&both, Some(conditions.embedding));
            if let Some(attention) = self.attentions.get(at) {
                x = attention.forward(&x, conditions.context);
            }
        }
        let Some(conv) = &self.upsample else { return x };
        // To the size that the level above has, which may be odd.
        let size = skips.last().map(|skip| skip.size()[2..].to_vec());
        let size = size.unwrap_or_else(|| x.size()[2..].iter().map(|side| side * 2).collect());
        conv.forward(&x.upsample_nearest2d(size, None, None))
    }
}
