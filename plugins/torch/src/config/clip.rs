//! `text_encoder/config.json`: CLIP's text tower.

use serde::Deserialize;

use super::Fields;
use crate::{checkpoint::ModelDir, error::LoadError, nn::Activation};

/// A CLIP text encoder.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ClipTextConfig {
    /// Rows of the token embedding.
    pub(crate) vocabulary: i64,
    /// Width of its states.
    pub(crate) width: i64,
    /// Width of the feed-forward part.
    pub(crate) inner: i64,
    /// Transformer layers.
    pub(crate) layers: i64,
    /// Attention heads.
    pub(crate) heads: i64,
    /// Longest text in tokens.
    pub(crate) positions: i64,
    /// Of the feed-forward part.
    pub(crate) activation: Activation,
    /// Added to variances.
    pub(crate) eps: f64,
    /// Which position is pooled.
    pub(crate) end: EndOfText,
    /// Width of the projection of the pooled state; `None`: there is none.
    pub(crate) projection: Option<i64>,
}

/// Which position of a text is pooled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndOfText {
    /// The first with the highest id: what configurations with `eos_token_id` 2, from before transformers 4.31, mean.
    HighestId,
    /// The first with this id.
    First(i64),
}

/// `49407` or `[49407]`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum TokenId {
    One(i64),
    List([i64; 1]),
}

// === impl ClipTextConfig ===

impl ClipTextConfig {
    /// Reads `config.json` in `dir`. transformers writes many fields that don't matter when a model runs: what isn't
    /// known is let through here.
    ///
    /// # Errors
    /// If it is missing or its numbers make no sense.
    pub(crate) fn load(dir: &ModelDir, projects: bool) -> Result<Self, LoadError> {
        let mut fields = Fields::read(dir, "config.json")?;
        let kind: String = fields.get("model_type", "clip_text_model".to_owned())?;
        if kind != "clip_text_model" {
            return Err(fields.error(
                "model_type",
                format!("is `{kind}`; only `clip_text_model` is supported"),
            ));
        }
        fields.only("use_attention_mask", false)?;
        let activation: String = fields.get("hidden_act", "quick_gelu".to_owned())?;
        let (TokenId::One(end) | TokenId::List([end])) = fields.get("eos_token_id", TokenId::One(49407))?;
        let projection = fields.count("projection_dim", 512, 1..=1 << 16)?;
        let config = Self {
            vocabulary: fields.count("vocab_size", 49408, 3..=1 << 24)?,
            width: fields.count("hidden_size", 512, 1..=1 << 16)?,
            inner: fields.count("intermediate_size", 2048, 1..=1 << 18)?,
            layers: fields.count("num_hidden_layers", 12, 1..=512)?,
            heads: fields.count("num_attention_heads", 8, 1..=1024)?,
            positions: fields.count("max_position_embeddings", 77, 3..=1 << 16)?,
            activation: Activation::parse(&activation).map_err(|problem| fields.error("hidden_act", problem))?,
            eps: fields.get("layer_norm_eps", 1e-5)?,
            end: if end == 2 {
                EndOfText::HighestId
            } else {
                EndOfText::First(end)
            },
            projection: projects.then_some(projection),
        };
        if config.width % config.heads != 0 {
            return Err(fields.error("num_attention_heads", "must divide hidden_size"));
        }
        Ok(config)
    }
}
