//! The embed task: its inputs and results.

use bytes::Bytes;

use crate::{Invalid, Modality};

/// Longest side of an image, in pixels.
pub const MAX_IMAGE_SIDE: u32 = 16_384;

/// How far the L2 norm of a vector may be from 1: f16 rounding of long vectors, no more.
pub const NORM_TOLERANCE: f64 = 1e-2;

/// One thing to embed.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbedInput {
    /// What to embed.
    pub payload: EmbedPayload,
    /// Text longer than the context: cut it as the model's tokenizer would, or fail the item.
    pub truncate: bool,
}

/// What to embed.
#[derive(Debug, Clone, PartialEq)]
pub enum EmbedPayload {
    /// A text.
    Text(String),
    /// Pixels, already sized to the model's image spec.
    Image(RgbImage),
    /// Ids of the model's own tokenizer, without special tokens.
    TokenIds(Vec<u32>),
}

/// RGB8 pixels, rows from top to bottom. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RgbImage {
    width: u32,
    height: u32,
    rgb: Bytes,
}

/// A vector with what reading the input took.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// `width` finite numbers with an L2 norm of 1.
    pub values: Vec<f32>,
    /// Tokens read, special tokens included.
    pub tokens: u32,
    /// True if the text was cut to the context length.
    pub truncated: bool,
}

/// One input is bad; the others of its batch are not affected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ItemError {
    /// What is wrong with it.
    pub code: ItemErrorCode,
    /// For the caller's eyes: names no path, pointer or socket.
    pub message: String,
}

/// What is wrong with an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemErrorCode {
    /// It can't be read.
    InvalidInput,
    /// It is longer than the context and must not be cut.
    ContextLength,
}

// === impl EmbedInput ===

impl EmbedInput {
    /// A text, cut to the context length if `truncate`.
    pub fn text(text: impl Into<String>, truncate: bool) -> Self {
        Self {
            payload: EmbedPayload::Text(text.into()),
            truncate,
        }
    }

    /// An image.
    pub fn image(image: RgbImage) -> Self {
        Self {
            payload: EmbedPayload::Image(image),
            truncate: true,
        }
    }

    /// Ids of the model's own tokenizer, cut to the context length if `truncate`.
    pub fn token_ids(ids: Vec<u32>, truncate: bool) -> Self {
        Self {
            payload: EmbedPayload::TokenIds(ids),
            truncate,
        }
    }
}

// === impl EmbedPayload ===

impl EmbedPayload {
    /// What a model must read to embed it.
    pub fn modality(&self) -> Modality {
        match self {
            EmbedPayload::Text(_) | EmbedPayload::TokenIds(_) => Modality::Text,
            EmbedPayload::Image(_) => Modality::Image,
        }
    }
}

// === impl Embedding ===

impl Embedding {
    /// Checks that this is a vector of `width` finite numbers with an L2 norm of 1.
    ///
    /// # Errors
    /// If it is not; the norm may be off by [`NORM_TOLERANCE`].
    pub fn validate(&self, width: u32) -> Result<(), Invalid> {
        let invalid = |problem| Err(Invalid::new("embedding", problem));
        if self.values.len() as u64 != u64::from(width) {
            return invalid(format!(
                "has {} numbers where the model's width is {width}",
                self.values.len()
            ));
        }
        // A NaN or an infinity anywhere makes the sum of squares one too.
        let norm = self
            .values
            .iter()
            .map(|&x| f64::from(x) * f64::from(x))
            .sum::<f64>()
            .sqrt();
        if !norm.is_finite() {
            return invalid("has a number that is not finite".into());
        }
        if (norm - 1.0).abs() > NORM_TOLERANCE {
            return invalid(format!("has an L2 norm of {norm:.4}; divide it by its norm"));
        }
        Ok(())
    }
}

// === impl ItemError ===

impl ItemError {
    /// The input can't be read.
    pub fn invalid_input(message: impl Into<String>) -> Self {
        Self {
            code: ItemErrorCode::InvalidInput,
            message: message.into(),
        }
    }

    /// The input is longer than the context and must not be cut.
    pub fn context_length(message: impl Into<String>) -> Self {
        Self {
            code: ItemErrorCode::ContextLength,
            message: message.into(),
        }
    }
}

// === impl RgbImage ===

impl RgbImage {
    /// Pixels of `width × height`, 3 bytes each. A `Vec<u8>` is taken over, not copied.
    ///
    /// # Errors
    /// If a side is 0 or more than [`MAX_IMAGE_SIDE`], or the length isn't `width * height * 3`.
    pub fn new(width: u32, height: u32, rgb: impl Into<Bytes>) -> Result<Self, Invalid> {
        let rgb = rgb.into();
        let expected = u64::from(width) * u64::from(height) * 3;
        if expected == 0 {
            return Err(Invalid::new("image", format!("has no pixels ({width}×{height})")));
        }
        if width.max(height) > MAX_IMAGE_SIDE {
            let problem = format!("is {width}×{height} pixels, but a side is at most {MAX_IMAGE_SIDE}");
            return Err(Invalid::new("image", problem));
        }
        if rgb.len() as u64 != expected {
            let message = format!("of {width}×{height} needs {expected} bytes, not {}", rgb.len());
            return Err(Invalid::new("image", message));
        }
        Ok(Self { width, height, rgb })
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// `width * height * 3` bytes, R G B R G B ….
    pub fn as_bytes(&self) -> &[u8] {
        &self.rgb
    }

    /// The same bytes, shared.
    pub fn to_bytes(&self) -> Bytes {
        self.rgb.clone()
    }
}
