//! BERT and its relatives: RoBERTa, XLM-RoBERTa, CamemBERT and DistilBERT.

use serde::Deserialize;
use serde_json::Value;

use super::{
    parse,
    tower::{RawEncoder, TABLE_ROWS, TextTower, within},
};
use crate::nn::NormPlacement;

/// A text encoder of the BERT family.
#[derive(Debug, Clone)]
pub(crate) struct BertConfig {
    /// Its transformer.
    pub(crate) tower: TextTower,
    /// Rows of the token type embedding, of which the first is used; 0 if there is none.
    pub(crate) token_types: usize,
    /// The position of the first token: RoBERTa's begin after the padding's id.
    pub(crate) first_position: usize,
    /// Names of the tensors.
    pub(crate) layout: BertLayout,
}

/// Which names and positions a checkpoint has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BertLayout {
    /// `BertModel`.
    Bert,
    /// `RobertaModel`: BERT's names, positions that begin at `pad_token_id + 1`.
    Roberta,
    /// `DistilBertModel`: names of its own, no token types.
    DistilBert,
}

#[derive(Debug, Deserialize)]
#[serde(default)]
struct RawBert {
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    hidden_act: String,
    max_position_embeddings: usize,
    type_vocab_size: usize,
    layer_norm_eps: f64,
    pad_token_id: Option<usize>,
    position_embedding_type: String,
    is_decoder: bool,
}

#[derive(Debug, Deserialize)]
#[serde(default)]
struct RawDistilBert {
    vocab_size: usize,
    max_position_embeddings: usize,
    n_layers: usize,
    n_heads: usize,
    dim: usize,
    hidden_dim: usize,
    activation: String,
}

// === impl BertConfig ===

impl BertConfig {
    /// A configuration in BERT's words.
    pub(super) fn parse(value: &Value, layout: BertLayout) -> Result<Self, String> {
        let mut raw: RawBert = parse(value)?;
        if layout == BertLayout::Roberta && value.get("vocab_size").is_none() {
            raw.vocab_size = 50265;
        }
        if raw.position_embedding_type != "absolute" {
            let kind = raw.position_embedding_type;
            return Err(format!(
                "position_embedding_type is `{kind}`; only `absolute` is supported"
            ));
        }
        if raw.is_decoder {
            return Err("is_decoder is true; only encoders are supported".to_owned());
        }
        let encoder = RawEncoder {
            hidden_size: raw.hidden_size,
            intermediate_size: raw.intermediate_size,
            num_hidden_layers: raw.num_hidden_layers,
            num_attention_heads: raw.num_attention_heads,
            hidden_act: &raw.hidden_act,
            layer_norm_eps: raw.layer_norm_eps,
        };
        let first_position = match layout {
            BertLayout::Roberta => raw.pad_token_id.unwrap_or(1) + 1,
            BertLayout::Bert | BertLayout::DistilBert => 0,
        };
        let (layers, encoder) = encoder.check(NormPlacement::Post)?;
        Ok(Self {
            tower: TextTower {
                vocabulary: within("vocab_size", raw.vocab_size, TABLE_ROWS)?,
                positions: within(
                    "max_position_embeddings",
                    raw.max_position_embeddings,
                    first_position + 3..=1 << 24,
                )?,
                layers,
                encoder,
            },
            token_types: within("type_vocab_size", raw.type_vocab_size, 0..=1 << 16)?,
            first_position,
            layout,
        })
    }

    /// A configuration in DistilBERT's words.
    pub(super) fn parse_distilbert(value: &Value) -> Result<Self, String> {
        let raw: RawDistilBert = parse(value)?;
        let encoder = RawEncoder {
            hidden_size: raw.dim,
            intermediate_size: raw.hidden_dim,
            num_hidden_layers: raw.n_layers,
            num_attention_heads: raw.n_heads,
            hidden_act: &raw.activation,
            layer_norm_eps: 1e-12,
        };
        let (layers, encoder) = encoder.check(NormPlacement::Post)?;
        Ok(Self {
            tower: TextTower {
                vocabulary: within("vocab_size", raw.vocab_size, TABLE_ROWS)?,
                positions: within("max_position_embeddings", raw.max_position_embeddings, 3..=1 << 24)?,
                layers,
                encoder,
            },
            token_types: 0,
            first_position: 0,
            layout: BertLayout::DistilBert,
        })
    }

    /// Longest text in tokens that has a position for each.
    pub(crate) fn context(&self) -> usize {
        self.tower.positions - self.first_position
    }
}

// === impl RawBert ===

impl Default for RawBert {
    fn default() -> Self {
        Self {
            vocab_size: 30522,
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            hidden_act: "gelu".to_owned(),
            max_position_embeddings: 512,
            type_vocab_size: 2,
            layer_norm_eps: 1e-12,
            pad_token_id: None,
            position_embedding_type: "absolute".to_owned(),
            is_decoder: false,
        }
    }
}

// === impl RawDistilBert ===

impl Default for RawDistilBert {
    fn default() -> Self {
        Self {
            vocab_size: 30522,
            max_position_embeddings: 512,
            n_layers: 6,
            n_heads: 12,
            dim: 768,
            hidden_dim: 3072,
            activation: "gelu".to_owned(),
        }
    }
}
