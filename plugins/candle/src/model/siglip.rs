//! SigLIP (Zhai et al. 2023, <https://arxiv.org/abs/2303.15343>) and SigLIP 2 at a fixed resolution, as transformers'
//! `SiglipModel` has them.

use candle_core::{Result, Tensor};

use super::{
    ImageTower, TextTower,
    clip::encoder,
    rows::{last_rows, to_rows},
    table::Table,
};
use crate::{
    checkpoint::Weights,
    config::{TextTower as TextConfig, VisionTower},
    error::LoadError,
    nn::{
        Activation, AttentionShape, Compute, Encoder, LayerNorm, Linear, LinearWeights, PatchEmbed, PixelScale,
        attention,
    },
};

/// SigLIP's text tower: bidirectional over the padding too, pooled at the last position.
pub(super) struct SiglipText {
    tokens: Table,
    positions: Table,
    encoder: Encoder,
    norm: LayerNorm,
    head: Linear,
}

/// SigLIP's vision tower: pooled by attention.
pub(super) struct SiglipVision {
    side: usize,
    /// Patches.
    length: usize,
    patches: PatchEmbed,
    /// `[1, length, hidden]`.
    positions: Tensor,
    encoder: Encoder,
    norm: LayerNorm,
    head: PoolingHead,
}

/// One learnt query attends to all patches; a feed-forward block follows.
struct PoolingHead {
    /// The learnt query, already projected, `[1, hidden]`.
    query: Tensor,
    key: Linear,
    value: Linear,
    output: Linear,
    norm: LayerNorm,
    up: Linear,
    down: Linear,
    activation: Activation,
    heads: usize,
    compute: Compute,
}

// === impl SiglipText ===

impl SiglipText {
    /// Reads the text tower and its head, which makes `width` numbers.
    pub(super) fn load(
        weights: &Weights<'_>,
        config: &TextConfig,
        width: usize,
        compute: &Compute,
    ) -> std::result::Result<Self, LoadError> {
        let prefix = weights.prefix("embeddings.token_embedding.weight")?;
        let hidden = config.encoder.hidden;
        let table =
            |name: &str, rows| Table::load(weights, &format!("{prefix}embeddings.{name}"), rows, hidden, compute);
        let norm = weights.norm(&format!("{prefix}final_layer_norm"), hidden)?;
        Ok(Self {
            tokens: table("token_embedding.weight", config.vocabulary)?,
            positions: table("position_embedding.weight", config.positions)?,
            encoder: encoder(weights, &prefix, config.layers, &config.encoder, compute)?,
            norm: LayerNorm::new(norm, config.encoder.norm_eps, compute)?,
            head: Linear::new(weights.linear(&format!("{prefix}head"), width, hidden)?, compute)?,
        })
    }
}

impl TextTower for SiglipText {
    fn embed(&self, texts: &[&[u32]]) -> Result<Vec<Vec<f32>>> {
        let lengths: Vec<usize> = texts.iter().map(|ids| ids.len()).collect();
        let positions = lengths.iter().flat_map(|length| 0..*length as u32).collect();
        let x = (self.tokens.rows(texts.concat())? + self.positions.rows(positions)?)?;
        let x = self.encoder.forward(&x, &lengths, false)?;
        let pooled = self.norm.forward(&last_rows(&x, &lengths)?)?;
        to_rows(&self.head.forward(&pooled)?)
    }
}

// === impl SiglipVision ===

impl SiglipVision {
    /// Reads the vision tower and its pooling head.
    pub(super) fn load(
        weights: &Weights<'_>,
        config: &VisionTower,
        scale: PixelScale,
        compute: &Compute,
    ) -> std::result::Result<Self, LoadError> {
        let prefix = weights.prefix("embeddings.patch_embedding.weight")?;
        let (hidden, length) = (config.encoder.hidden, config.patches());
        let patch = format!("{prefix}embeddings.patch_embedding");
        let weight = weights.tensor(&format!("{patch}.weight"), &[hidden, 3, config.patch, config.patch])?;
        let bias = weights.tensor(&format!("{patch}.bias"), &[hidden])?;
        let positions = Table::load(
            weights,
            &format!("{prefix}embeddings.position_embedding.weight"),
            length,
            hidden,
            compute,
        )?;
        let norm = weights.norm(&format!("{prefix}post_layernorm"), hidden)?;
        Ok(Self {
            side: config.image,
            length,
            patches: PatchEmbed::new(weight, Some(bias), scale, compute)?,
            positions: positions.all()?.unsqueeze(0)?,
            encoder: encoder(weights, &prefix, config.layers, &config.encoder, compute)?,
            norm: LayerNorm::new(norm, config.encoder.norm_eps, compute)?,
            head: PoolingHead::load(weights, &format!("{prefix}head"), config, compute)?,
        })
    }
}

impl ImageTower for SiglipVision {
    fn embed(&self, images: &[&[u8]]) -> Result<Vec<Vec<f32>>> {
        let (count, hidden) = (images.len(), self.positions.dim(2)?);
        let patches = self.patches.forward(images, self.side, self.side)?;
        let x = patches
            .reshape((count, self.length, hidden))?
            .broadcast_add(&self.positions)?;
        let lengths = vec![self.length; count];
        let x = self
            .encoder
            .forward(&x.reshape((count * self.length, hidden))?, &lengths, false)?;
        to_rows(&self.head.forward(&self.norm.forward(&x)?, &lengths)?)
    }
}

// === impl PoolingHead ===

impl PoolingHead {
    fn load(
        weights: &Weights<'_>,
        name: &str,
        config: &VisionTower,
        compute: &Compute,
    ) -> std::result::Result<Self, LoadError> {
        let (shape, hidden) = (&config.encoder, config.encoder.hidden);
        let probe = weights
            .tensor(&format!("{name}.probe"), &[1, 1, hidden])?
            .reshape((1, hidden))?;
        let weight = weights.tensor(&format!("{name}.attention.in_proj_weight"), &[3 * hidden, hidden])?;
        let bias = weights.tensor(&format!("{name}.attention.in_proj_bias"), &[3 * hidden])?;
        let part = |index: usize| {
            let part = LinearWeights {
                weight: weight.narrow(0, index * hidden, hidden)?.contiguous()?,
                bias: Some(bias.narrow(0, index * hidden, hidden)?.contiguous()?),
            };
            Linear::new(part, compute)
        };
        let linear = |part: &str, out, input| {
            Ok::<_, LoadError>(Linear::new(
                weights.linear(&format!("{name}.{part}"), out, input)?,
                compute,
            )?)
        };
        Ok(Self {
            query: part(0)?.forward(&probe.to_device(&compute.device)?)?,
            key: part(1)?,
            value: part(2)?,
            output: linear("attention.out_proj", hidden, hidden)?,
            norm: LayerNorm::new(
                weights.norm(&format!("{name}.layernorm"), hidden)?,
                shape.norm_eps,
                compute,
            )?,
            up: linear("mlp.fc1", shape.intermediate, hidden)?,
            down: linear("mlp.fc2", hidden, shape.intermediate)?,
            activation: shape.activation,
            heads: shape.heads,
            compute: compute.clone(),
        })
    }

    /// `[images · patches, hidden]` to `[images, hidden]`.
    fn forward(&self, x: &Tensor, lengths: &[usize]) -> Result<Tensor> {
        let (count, hidden) = (lengths.len(), x.dim(1)?);
        let query = self.query.expand((count, hidden))?.contiguous()?;
        let shape = AttentionShape {
            heads: self.heads,
            q_lengths: &vec![1; count],
            kv_lengths: lengths,
            causal: false,
        };
        let mixed = attention(
            &query,
            &self.key.forward(x)?,
            &self.value.forward(x)?,
            shape,
            &self.compute,
        )?;
        let pooled = self.output.forward(&mixed)?;
        let inner = activate(self.activation, &self.up.forward(&self.norm.forward(&pooled)?)?)?;
        &pooled + &self.down.forward(&inner)?
    }
}

/// The activation on its own; one row an image, so it needn't be fast.
pub(super) fn activate(activation: Activation, x: &Tensor) -> Result<Tensor> {
    match activation {
        Activation::QuickGelu => x * candle_nn::ops::sigmoid(&(x * 1.702)?)?,
        Activation::Gelu => x.gelu_erf(),
        Activation::GeluTanh => x.gelu(),
        Activation::Relu => x.relu(),
        Activation::Silu => x.silu(),
    }
}
