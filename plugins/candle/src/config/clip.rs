//! `CLIPModel`, `CLIPTextModelWithProjection` and `CLIPVisionModelWithProjection`.

use serde::Deserialize;
use serde_json::Value;

use super::{
    parse,
    tower::{RawEncoder, Side, TABLE_ROWS, TextTower, VisionTower, within},
};
use crate::nn::NormPlacement;

/// A CLIP model, or one tower of it.
#[derive(Debug, Clone)]
pub(crate) struct ClipConfig {
    /// Absent from a vision-only checkpoint.
    pub(crate) text: Option<ClipTextConfig>,
    /// Absent from a text-only checkpoint.
    pub(crate) vision: Option<VisionTower>,
    /// Length of the projected vectors.
    pub(crate) width: usize,
}

/// The text tower.
#[derive(Debug, Clone)]
pub(crate) struct ClipTextConfig {
    /// Its transformer.
    pub(crate) tower: TextTower,
    /// Which position is pooled.
    pub(crate) end: EndOfText,
}

/// Which position of a text is pooled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndOfText {
    /// The first with the highest id. What configurations with `eos_token_id` 2, written before transformers 4.31, mean.
    HighestId,
    /// The first with this id.
    First(u32),
}

#[derive(Debug, Deserialize)]
#[serde(default)]
struct RawClip {
    text_config: Value,
    vision_config: Value,
    // Where the two differ, transformers takes these, with its defaults for what they leave out.
    text_config_dict: Option<Value>,
    vision_config_dict: Option<Value>,
    projection_dim: usize,
}

#[derive(Debug, Deserialize)]
#[serde(default)]
struct RawText {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    projection_dim: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    max_position_embeddings: usize,
    hidden_act: String,
    layer_norm_eps: f64,
    eos_token_id: TokenId,
}

#[derive(Debug, Deserialize)]
#[serde(default)]
struct RawVision {
    hidden_size: usize,
    intermediate_size: usize,
    projection_dim: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_channels: usize,
    image_size: Side,
    patch_size: Side,
    hidden_act: String,
    layer_norm_eps: f64,
}

/// `49407` or `[49407]`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum TokenId {
    One(u32),
    List([u32; 1]),
}

// === impl ClipConfig ===

impl ClipConfig {
    /// A `CLIPModel`.
    pub(super) fn both(value: &Value) -> Result<Self, String> {
        let raw: RawClip = parse(value)?;
        let text: RawText = parse(raw.text_config_dict.as_ref().unwrap_or(&raw.text_config))
            .map_err(|error| format!("text_config: {error}"))?;
        let vision: RawVision = parse(raw.vision_config_dict.as_ref().unwrap_or(&raw.vision_config))
            .map_err(|error| format!("vision_config: {error}"))?;
        Ok(Self {
            text: Some(text.check().map_err(|error| format!("text_config: {error}"))?),
            vision: Some(vision.check().map_err(|error| format!("vision_config: {error}"))?),
            width: within("projection_dim", raw.projection_dim, 1..=1 << 16)?,
        })
    }

    /// A `CLIPTextModelWithProjection`.
    pub(super) fn text_only(value: &Value) -> Result<Self, String> {
        let raw: RawText = parse(value)?;
        let width = within("projection_dim", raw.projection_dim, 1..=1 << 16)?;
        Ok(Self {
            text: Some(raw.check()?),
            vision: None,
            width,
        })
    }

    /// A `CLIPVisionModelWithProjection`.
    pub(super) fn vision_only(value: &Value) -> Result<Self, String> {
        let raw: RawVision = parse(value)?;
        let width = within("projection_dim", raw.projection_dim, 1..=1 << 16)?;
        Ok(Self {
            text: None,
            vision: Some(raw.check()?),
            width,
        })
    }
}

// === impl RawClip ===

impl Default for RawClip {
    fn default() -> Self {
        let empty = || Value::Object(serde_json::Map::new());
        Self {
            text_config: empty(),
            vision_config: empty(),
            text_config_dict: None,
            vision_config_dict: None,
            projection_dim: 512,
        }
    }
}

// === impl RawText ===

impl Default for RawText {
    fn default() -> Self {
        Self {
            vocab_size: 49408,
            hidden_size: 512,
            intermediate_size: 2048,
            projection_dim: 512,
            num_hidden_layers: 12,
            num_attention_heads: 8,
            max_position_embeddings: 77,
            hidden_act: "quick_gelu".to_owned(),
            layer_norm_eps: 1e-5,
            eos_token_id: TokenId::One(49407),
        }
    }
}

impl RawText {
    fn check(&self) -> Result<ClipTextConfig, String> {
        let raw = RawEncoder {
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: self.num_attention_heads,
            hidden_act: &self.hidden_act,
            layer_norm_eps: self.layer_norm_eps,
        };
        let (layers, encoder) = raw.check(NormPlacement::Pre)?;
        let (TokenId::One(end) | TokenId::List([end])) = self.eos_token_id;
        Ok(ClipTextConfig {
            tower: TextTower {
                vocabulary: within("vocab_size", self.vocab_size, TABLE_ROWS)?,
                positions: within("max_position_embeddings", self.max_position_embeddings, TABLE_ROWS)?,
                layers,
                encoder,
            },
            end: if end == 2 {
                EndOfText::HighestId
            } else {
                EndOfText::First(end)
            },
        })
    }
}

// === impl RawVision ===

impl Default for RawVision {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            intermediate_size: 3072,
            projection_dim: 512,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            num_channels: 3,
            image_size: Side::One(224),
            patch_size: Side::One(32),
            hidden_act: "quick_gelu".to_owned(),
            layer_norm_eps: 1e-5,
        }
    }
}

impl RawVision {
    fn check(&self) -> Result<VisionTower, String> {
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
