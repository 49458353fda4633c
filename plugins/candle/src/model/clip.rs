//! CLIP (Radford et al. 2021, <https://arxiv.org/abs/2103.00020>), as transformers' `CLIPModel` has it.

use candle_core::{Result, Tensor};

use super::{
    ImageTower, TextTower,
    rows::{first_rows, last_rows, to_rows},
    table::Table,
};
use crate::{
    checkpoint::{CLIP_LAYER, Weights},
    config::{ClipTextConfig, EndOfText, VisionTower},
    error::LoadError,
    nn::{Compute, Encoder, EncoderConfig, LayerNorm, Linear, LinearWeights, PatchEmbed, PixelScale},
};

/// CLIP's text tower: causal, pooled at the end-of-text token.
///
/// The causal mask hides everything after that token, so no later one is computed, padding included.
pub(super) struct ClipText {
    tokens: Table,
    positions: Table,
    encoder: Encoder,
    norm: LayerNorm,
    projection: Linear,
    end: EndOfText,
}

/// CLIP's vision tower: pooled at the class token.
pub(super) struct ClipVision {
    side: usize,
    /// Patches and the class token.
    length: usize,
    patches: PatchEmbed,
    /// `[1, 1, hidden]`.
    class: Tensor,
    /// `[1, length, hidden]`.
    positions: Tensor,
    pre_norm: LayerNorm,
    encoder: Encoder,
    post_norm: LayerNorm,
    projection: Linear,
}

// === impl ClipText ===

impl ClipText {
    /// Reads the text tower and its projection to `width` numbers.
    pub(super) fn load(
        weights: &Weights<'_>,
        config: &ClipTextConfig,
        width: usize,
        compute: &Compute,
    ) -> std::result::Result<Self, LoadError> {
        let prefix = weights.prefix("embeddings.token_embedding.weight")?;
        let (tower, hidden) = (&config.tower, config.tower.encoder.hidden);
        let table =
            |name: &str, rows| Table::load(weights, &format!("{prefix}embeddings.{name}"), rows, hidden, compute);
        let norm = weights.norm(&format!("{prefix}final_layer_norm"), hidden)?;
        Ok(Self {
            tokens: table("token_embedding.weight", tower.vocabulary)?,
            positions: table("position_embedding.weight", tower.positions)?,
            encoder: encoder(weights, &prefix, tower.layers, &tower.encoder, compute)?,
            norm: LayerNorm::new(norm, tower.encoder.norm_eps, compute)?,
            projection: projection(weights, &prefix, "text_projection", width, hidden, compute)?,
            end: config.end,
        })
    }
}

impl TextTower for ClipText {
    fn embed(&self, texts: &[&[u32]]) -> Result<Vec<Vec<f32>>> {
        let texts: Vec<&[u32]> = texts.iter().map(|ids| &ids[..=self.end.position(ids)]).collect();
        let lengths: Vec<usize> = texts.iter().map(|ids| ids.len()).collect();
        let positions = lengths.iter().flat_map(|length| 0..*length as u32).collect();
        let x = (self.tokens.rows(texts.concat())? + self.positions.rows(positions)?)?;
        let x = self.encoder.forward(&x, &lengths, true)?;
        let pooled = self.norm.forward(&last_rows(&x, &lengths)?)?;
        to_rows(&self.projection.forward(&pooled)?)
    }
}

// === impl EndOfText ===

impl EndOfText {
    /// Which position is pooled, by transformers' rule; `ids` isn't empty.
    fn position(self, ids: &[u32]) -> usize {
        let first = |wanted: u32| ids.iter().position(|id| *id == wanted).unwrap_or(0);
        match self {
            Self::HighestId => first(ids.iter().copied().max().unwrap_or(0)),
            Self::First(id) => first(id),
        }
    }
}

// === impl ClipVision ===

impl ClipVision {
    /// Reads the vision tower and its projection to `width` numbers.
    pub(super) fn load(
        weights: &Weights<'_>,
        config: &VisionTower,
        scale: PixelScale,
        width: usize,
        compute: &Compute,
    ) -> std::result::Result<Self, LoadError> {
        let prefix = weights.prefix("embeddings.patch_embedding.weight")?;
        let (hidden, length) = (config.encoder.hidden, config.patches() + 1);
        let patch = [hidden, 3, config.patch, config.patch];
        let patch = weights.tensor(&format!("{prefix}embeddings.patch_embedding.weight"), &patch)?;
        let class = weights.tensor(&format!("{prefix}embeddings.class_embedding"), &[hidden])?;
        let positions = Table::load(
            weights,
            &format!("{prefix}embeddings.position_embedding.weight"),
            length,
            hidden,
            compute,
        )?;
        let norm = |name: &str| {
            let norm = weights.norm(&format!("{prefix}{name}"), hidden)?;
            Ok::<_, LoadError>(LayerNorm::new(norm, config.encoder.norm_eps, compute)?)
        };
        Ok(Self {
            side: config.image,
            length,
            patches: PatchEmbed::new(patch, None, scale, compute)?,
            class: class.to_device(&compute.device)?.reshape((1, 1, hidden))?,
            positions: positions.all()?.unsqueeze(0)?,
            pre_norm: norm("pre_layrnorm")?,
            encoder: encoder(weights, &prefix, config.layers, &config.encoder, compute)?,
            post_norm: norm("post_layernorm")?,
            projection: projection(weights, &prefix, "visual_projection", width, hidden, compute)?,
        })
    }
}

impl ImageTower for ClipVision {
    fn embed(&self, images: &[&[u8]]) -> Result<Vec<Vec<f32>>> {
        let (count, hidden) = (images.len(), self.class.dim(2)?);
        let patches = self.patches.forward(images, self.side, self.side)?;
        let patches = patches.reshape((count, self.length - 1, hidden))?;
        let x = Tensor::cat(&[&self.class.expand((count, 1, hidden))?, &patches], 1)?;
        let x = x
            .broadcast_add(&self.positions)?
            .reshape((count * self.length, hidden))?;
        let x = self
            .encoder
            .forward(&self.pre_norm.forward(&x)?, &vec![self.length; count], false)?;
        let pooled = self.post_norm.forward(&first_rows(&x, self.length)?)?;
        to_rows(&self.projection.forward(&pooled)?)
    }
}

/// The transformer layers of a CLIP or SigLIP tower.
pub(super) fn encoder(
    weights: &Weights<'_>,
    prefix: &str,
    layers: usize,
    config: &EncoderConfig,
    compute: &Compute,
) -> std::result::Result<Encoder, LoadError> {
    let layer = |index: usize| {
        let prefix = format!("{prefix}encoder.layers.{index}.");
        weights.layer(&prefix, &CLIP_LAYER, config.hidden, config.intermediate)
    };
    let layers = (0..layers).map(layer).collect::<std::result::Result<Vec<_>, _>>()?;
    Ok(Encoder::new(config.clone(), layers, compute)?)
}

/// The projection beside a tower: a sibling of `text_model` or `vision_model`.
fn projection(
    weights: &Weights<'_>,
    tower: &str,
    name: &str,
    width: usize,
    hidden: usize,
    compute: &Compute,
) -> std::result::Result<Linear, LoadError> {
    let parent = tower
        .strip_suffix("text_model.")
        .or_else(|| tower.strip_suffix("vision_model."))
        .unwrap_or(tower);
    let weight = weights.tensor(&format!("{parent}{name}.weight"), &[width, hidden])?;
    Ok(Linear::new(LinearWeights { weight, bias: None }, compute)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pooled_position_follows_the_reference() {
        for (end, ids, position) in [
            (EndOfText::First(9), &[7, 1, 9, 9][..], 2),
            (EndOfText::First(9), &[7, 9, 1, 9], 1),
            (EndOfText::First(9), &[7, 1, 2], 0),
            (EndOfText::HighestId, &[7, 1, 8, 2], 2),
            (EndOfText::HighestId, &[7, 9, 1, 9], 1),
        ] {
            assert_eq!(end.position(ids), position, "{end:?} {ids:?}");
        }
    }
}
