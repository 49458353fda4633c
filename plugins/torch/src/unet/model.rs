//! The whole network.

use tch::Tensor;

use super::blocks::{Conditions, DownBlock, MidBlock, UpBlock};
use crate::{
    checkpoint::{Scope, Weights},
    config::{AddedConditions, UnetConfig},
    error::LoadError,
    lora::Loras,
    nn::{Activation, Conv2d, GroupNorm, TimestepEmbedding, channels_last, sinusoid},
};

/// A UNet that is told a timestep and a prompt.
pub struct Unet {
    conv_in: Conv2d,
    time: TimestepEmbedding,
    added: Option<(AddedConditions, TimestepEmbedding)>,
    down: Vec<DownBlock>,
    middle: Option<MidBlock>,
    up: Vec<UpBlock>,
    norm_out: GroupNorm,
    conv_out: Conv2d,
    config: UnetConfig,
}

/// What a forward pass is given; tensors of images are in the weights' format.
pub struct UnetInput<'a> {
    /// Noisy latents, `[b, in_channels, h, w]`.
    pub sample: &'a Tensor,
    /// The timestep of each, `[b]` of f32.
    pub timesteps: &'a Tensor,
    /// The prompt's states, `[b, tokens, context]`.
    pub context: &'a Tensor,
    /// SDXL's conditions; must be there if the model was trained with them.
    pub added: Option<Added<'a>>,
    /// Embedding of the guidance scale, `[b, time_cond_proj_dim]`, where the model takes one.
    pub guidance: Option<&'a Tensor>,
}

/// SDXL's conditions beside the prompt's states.
pub struct Added<'a> {
    /// Pooled state of the prompt, `[b, projection]`.
    pub pooled: &'a Tensor,
    /// Original height and width, top and left of the crop, target height and width, `[b, 6]` of f32.
    pub sizes: &'a Tensor,
}

// === impl Unet ===

impl Unet {
    /// Reads the network.
    ///
    /// # Errors
    /// If a tensor is missing, has another shape, or belongs nowhere.
    pub(crate) fn load(weights: &Weights<'_>, loras: &Loras, config: UnetConfig) -> Result<Self, LoadError> {
        let root = Scope::new(weights, loras, "unet");
        let first = config.blocks[0].channels;
        let width = 4 * first;
        let levels = config.blocks.len();
        let time = |name: &str, input: i64, condition: Option<i64>| {
            TimestepEmbedding::load(&root.sub(name), input, width, condition, config.activation)
        };
        let added = config
            .added
            .map(|added| Ok::<_, LoadError>((added, time("add_embedding", added.input, None)?)));
        let network = Self {
            conv_in: Conv2d::load(&root.sub("conv_in"), first, config.in_channels, 3)?,
            time: time("time_embedding", first, config.guidance_embedding)?,
            added: added.transpose()?,
            down: (0..levels)
                .map(|level| DownBlock::load(&root.sub("down_blocks").sub(level), &config, level, width))
                .collect::<Result<_, _>>()?,
            middle: match config.middle {
                true => Some(MidBlock::load(&root.sub("mid_block"), &config, width)?),
                false => None,
            },
            up: (0..levels)
                .map(|at| UpBlock::load(&root.sub("up_blocks").sub(at), &config, at, width))
                .collect::<Result<_, _>>()?,
            norm_out: GroupNorm::load(&root.sub("conv_norm_out"), config.groups, first, config.eps)?,
            conv_out: Conv2d::load(&root.sub("conv_out"), config.out_channels, first, 3)?,
            config,
        };
        weights.finish()?;
        Ok(network)
    }

    /// The model's prediction, `[b, out_channels, h, w]` in the weights' format.
    pub fn forward(&self, input: &UnetInput<'_>) -> Tensor {
        let embedding = Activation::Silu.apply(self.embedding(input));
        let conditions = Conditions {
            embedding: &embedding,
            context: input.context,
        };
        let mut x = self.conv_in.forward(&channels_last(input.sample));
        let mut skips = vec![x.shallow_clone()];
        for block in &self.down {
            x = block.forward(x, &conditions, &mut skips);
        }
        if let Some(middle) = &self.middle {
            x = middle.forward(&x, &conditions);
        }
        for block in &self.up {
            x = block.forward(x, &conditions, &mut skips);
        }
        let x = self.config.activation.apply(self.norm_out.forward(&x));
        self.conv_out.forward(&x)
    }

    /// What the network is told beside the prompt's states, `[b, width]`.
    fn embedding(&self, input: &UnetInput<'_>) -> Tensor {
        let (config, kind) = (&self.config, input.sample.kind());
        let waves = |numbers: &Tensor, width| sinusoid(numbers, width, config.cosine_first, config.freq_shift);
        let timesteps = waves(input.timesteps, config.blocks[0].channels).to_kind(kind);
        let mut embedding = self.time.forward(&timesteps, input.guidance);
        if let (Some((shape, network)), Some(added)) = (&self.added, &input.added) {
            let batch = added.sizes.size()[0];
            let sizes = waves(&added.sizes.flatten(0, -1), shape.number).reshape([batch, -1]);
            let both = Tensor::cat(&[added.pooled.to_kind(kind), sizes.to_kind(kind)], 1);
            embedding += network.forward(&both, None);
        }
        embedding
    }
}
