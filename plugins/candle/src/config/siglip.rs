//! `SiglipModel`: SigLIP, and SigLIP 2 at a fixed resolution.

use serde::Deserialize;
use serde_json::Value;

use super::{
    parse,
    tower::{RawEncoder, Side, TABLE_ROWS, TextTower, VisionTower, within},
};
use crate::nn::NormPlacement;

/// A SigLIP model.
#[derive(Debug, Clone)]
pub(crate) struct SiglipConfig {
    /// The text tower.
    pub(crate) text: TextTower,
    /// The vision tower.
    pub(crate) vision: VisionTower,
    /// Padding of a text if its tokenizer doesn't say.
    pub(crate) pad_id: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawSiglip {
    text_config: RawText,
    vision_config: RawVision,
}

#[derive(Debug, Deserialize)]
#[serde(default)]
struct RawText {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    max_position_embeddings: usize,
    hidden_act: String,
    layer_norm_eps: f64,
    pad_token_id: u32,
    projection_size: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(default)]
struct RawVision {
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_channels: usize,
    image_size: Side,
    patch_size: Side,
    hidden_act: String,
    layer_norm_eps: f64,
    vision_use_head: bool,
}

// === impl SiglipConfig ===

impl SiglipConfig {
    /// A `SiglipModel`.
    pub(super) fn parse(value: &Value) -> Result<Self, String> {
        let raw: RawSiglip = parse(value)?;
        let text = raw
            .text_config
            .check()
            .map_err(|error| format!("text_config: {error}"))?;
        let vision = raw
            .vision_config
            .check()
            .map_err(|error| format!("vision_config: {error}"))?;
        let projection = raw.text_config.projection_size.unwrap_or(text.encoder.hidden);
        if projection != vision.encoder.hidden {
            return Err(format!(
                "text_config: projection_size is {projection}; it must be the vision hidden_size, {}",
                vision.encoder.hidden
            ));
        }
        Ok(Self {
            text,
            vision,
            pad_id: raw.text_config.pad_token_id,
        })
    }

    /// Length of the vectors.
    pub(crate) fn width(&self) -> usize {
        self.vision.encoder.hidden
    }
}

// === impl RawText ===

impl Default for RawText {
    fn default() -> Self {
        Self {
            vocab_size: 32000,
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            max_position_embeddings: 64,
            hidden_act: "gelu_pytorch_tanh".to_owned(),
            layer_norm_eps: 1e-6,
            pad_token_id: 1,
            projection_size: None,
        }
    }
}

impl RawText {
    fn check(&self) -> Result<TextTower, String> {
        let raw = RawEncoder {
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: self.num_attention_heads,
            hidden_act: &self.hidden_act,
            layer_norm_eps: self.layer_norm_eps,
        };
        let (layers, encoder) = raw.check(NormPlacement::Pre)?;
        Ok(TextTower {
            vocabulary: within("vocab_size", self.vocab_size, TABLE_ROWS)?,
            positions: within("max_position_embeddings", self.max_position_embeddings, TABLE_ROWS)?,
            layers,
            encoder,
        })
    }
}

// === impl RawVision ===

impl Default for RawVision {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            num_channels: 3,
            image_size: Side::One(224),
            patch_size: Side::One(16),
            hidden_act: "gelu_pytorch_tanh".to_owned(),
            layer_norm_eps: 1e-6,
            vision_use_head: true,
        }
    }
}

impl RawVision {
    fn check(&self) -> Result<VisionTower, String> {
        if !self.vision_use_head {
            return Err("vision_use_head is false; without its head the model makes no image embedding".to_owned());
        }
        let raw = RawEncoder {
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: self.num_attention_heads,
            hidden_act: &self.hidden_act,
            layer_norm_eps: self.layer_norm_eps,
        };
        VisionTower::new(
            &self.image_size,
            &self.patch_size,
            self.num_channels,
            raw.check(NormPlacement::Pre)?,
        )
    }
}
