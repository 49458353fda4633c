//! The transformer between residual blocks: pixels attend to one another and to the prompt (Rombach et al. 2022).

use tch::Tensor;

use super::{Attention, GroupNorm, LayerNorm, Linear, feed_forward::GegluFeedForward, from_tokens, to_tokens};
use crate::{checkpoint::Scope, error::LoadError};

/// What a spatial transformer is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TransformerShape {
    /// Channels, in and out.
    pub(crate) channels: i64,
    /// Attention heads.
    pub(crate) heads: i64,
    /// Blocks, one after another.
    pub(crate) layers: i64,
    /// Width of the prompt's states.
    pub(crate) context: i64,
    /// Groups of the norm before.
    pub(crate) groups: i64,
    /// Keys and values come from the prompt in the first attention too.
    pub(crate) only_cross: bool,
}

/// Norm, projection, blocks, projection, and the input added.
pub(crate) struct SpatialTransformer {
    norm: GroupNorm,
    proj_in: Linear,
    blocks: Vec<Block>,
    proj_out: Linear,
}

/// Self-attention, cross-attention, feed-forward, each after a norm.
struct Block {
    norm1: LayerNorm,
    attn1: Attention,
    norm2: LayerNorm,
    attn2: Attention,
    norm3: LayerNorm,
    feed_forward: GegluFeedForward,
    only_cross: bool,
}

// === impl SpatialTransformer ===

impl SpatialTransformer {
    /// Reads one; its projections may be stored as linear maps or as 1x1 convolutions, which are the same.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub(crate) fn load(scope: &Scope<'_>, shape: TransformerShape) -> Result<Self, LoadError> {
        let channels = shape.channels;
        let blocks = scope.sub("transformer_blocks");
        Ok(Self {
            norm: GroupNorm::load(&scope.sub("norm"), shape.groups, channels, 1e-6)?,
            proj_in: Linear::load_pointwise(&scope.sub("proj_in"), channels, channels)?,
            blocks: (0..shape.layers)
                .map(|layer| Block::load(&blocks.sub(layer), shape))
                .collect::<Result<_, _>>()?,
            proj_out: Linear::load_pointwise(&scope.sub("proj_out"), channels, channels)?,
        })
    }

    /// `[b, channels, h, w]` and the prompt's `[b, tokens, context]` -> `[b, channels, h, w]`.
    pub(crate) fn forward(&self, x: &Tensor, context: &Tensor) -> Tensor {
        let size = x.size();
        let mut tokens = self.proj_in.forward(&to_tokens(&self.norm.forward(x)));
        for block in &self.blocks {
            tokens = block.forward(tokens, context);
        }
        let mut image = from_tokens(&self.proj_out.forward(&tokens), size[2], size[3]);
        image += x;
        image
    }
}

// === impl Block ===

impl Block {
    fn load(scope: &Scope<'_>, shape: TransformerShape) -> Result<Self, LoadError> {
        let width = shape.channels;
        let own = if shape.only_cross { shape.context } else { width };
        let norm = |name: &str| LayerNorm::load(&scope.sub(name), width, 1e-5);
        Ok(Self {
            norm1: norm("norm1")?,
            attn1: Attention::load(&scope.sub("attn1"), width, own, shape.heads)?,
            norm2: norm("norm2")?,
            attn2: Attention::load(&scope.sub("attn2"), width, shape.context, shape.heads)?,
            norm3: norm("norm3")?,
            feed_forward: GegluFeedForward::load(&scope.sub("ff"), width)?,
            only_cross: shape.only_cross,
        })
    }

    fn forward(&self, mut x: Tensor, context: &Tensor) -> Tensor {
        let normed = self.norm1.forward(&x);
        x += match self.only_cross {
            true => self.attn1.forward(&normed, context),
            false => self.attn1.forward(&normed, &normed),
        };
        drop(normed);
        x += self.attn2.forward(&self.norm2.forward(&x), context);
        x += self.feed_forward.forward(&self.norm3.forward(&x));
        x
    }
}
