//! What the towers of every architecture have in common, checked.

use serde::Deserialize;

use crate::nn::{Activation, EncoderConfig, NormPlacement};

/// A transformer that reads tokens.
#[derive(Debug, Clone)]
pub(crate) struct TextTower {
    /// Rows of the token embedding.
    pub(crate) vocabulary: usize,
    /// Rows of the position embedding.
    pub(crate) positions: usize,
    /// Transformer layers.
    pub(crate) layers: usize,
    /// Shape of a layer.
    pub(crate) encoder: EncoderConfig,
}

/// A transformer that reads the patches of a square image.
#[derive(Debug, Clone)]
pub(crate) struct VisionTower {
    /// Side of the image in pixels.
    pub(crate) image: usize,
    /// Side of a patch in pixels.
    pub(crate) patch: usize,
    /// Transformer layers.
    pub(crate) layers: usize,
    /// Shape of a layer.
    pub(crate) encoder: EncoderConfig,
}

/// The members of a transformer, under the names that most configurations use.
#[derive(Debug)]
pub(super) struct RawEncoder<'a> {
    pub(super) hidden_size: usize,
    pub(super) intermediate_size: usize,
    pub(super) num_hidden_layers: usize,
    pub(super) num_attention_heads: usize,
    pub(super) hidden_act: &'a str,
    pub(super) layer_norm_eps: f64,
}

/// `224` or `[224, 224]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Side {
    One(usize),
    Two([usize; 2]),
}

// === impl VisionTower ===

impl VisionTower {
    /// Patches of one image; the rest of a side that holds no whole patch is left out.
    pub(crate) fn patches(&self) -> usize {
        (self.image / self.patch).pow(2)
    }

    /// Checks the sides and the channels.
    pub(super) fn new(
        image: &Side,
        patch: &Side,
        channels: usize,
        (layers, encoder): (usize, EncoderConfig),
    ) -> Result<Self, String> {
        let image = within("image_size", image.square("image_size")?, 1..=8192)?;
        let patch = within("patch_size", patch.square("patch_size")?, 1..=image)?;
        within("num_channels", channels, 3..=3)?;
        Ok(Self {
            image,
            patch,
            layers,
            encoder,
        })
    }
}

// === impl RawEncoder ===

impl RawEncoder<'_> {
    /// The layers and the shape of one.
    pub(super) fn check(&self, placement: NormPlacement) -> Result<(usize, EncoderConfig), String> {
        let hidden = within("hidden_size", self.hidden_size, 1..=1 << 16)?;
        let heads = within("num_attention_heads", self.num_attention_heads, 1..=hidden)?;
        if !hidden.is_multiple_of(heads) {
            return Err(format!(
                "num_attention_heads ({heads}) must divide hidden_size ({hidden})"
            ));
        }
        if !(self.layer_norm_eps > 0.0 && self.layer_norm_eps < 1.0) {
            return Err(format!(
                "layer_norm_eps is {}; it must be between 0 and 1",
                self.layer_norm_eps
            ));
        }
        let encoder = EncoderConfig {
            hidden,
            heads,
            intermediate: within("intermediate_size", self.intermediate_size, 1..=1 << 20)?,
            activation: Activation::from_name(self.hidden_act).map_err(|error| error.to_string())?,
            norm_eps: self.layer_norm_eps,
            placement,
        };
        Ok((within("num_hidden_layers", self.num_hidden_layers, 1..=1024)?, encoder))
    }
}

// === impl Side ===

impl Side {
    fn square(&self, name: &str) -> Result<usize, String> {
        match self {
            Self::One(side) => Ok(*side),
            Self::Two([height, width]) if height == width => Ok(*width),
            Self::Two([height, width]) => Err(format!("{name} is {height}×{width}; only squares are supported")),
        }
    }
}

/// `value` if it lies within `range`.
pub(super) fn within(name: &str, value: usize, range: std::ops::RangeInclusive<usize>) -> Result<usize, String> {
    match range.contains(&value) {
        true => Ok(value),
        false => Err(format!(
            "{name} is {value}; it must be {} to {}",
            range.start(),
            range.end()
        )),
    }
}

/// Rows that an embedding table may have.
pub(super) const TABLE_ROWS: std::ops::RangeInclusive<usize> = 1..=1 << 24;
