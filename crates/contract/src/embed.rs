//! The embed task: its inputs and results.

use std::sync::Arc;

use crate::Invalid;

/// One thing to embed.
#[derive(Debug, Clone)]
pub struct EmbedInput {
    /// What to embed.
    pub payload: EmbedPayload,
    /// Text longer than the context: cut it as the model's tokenizer would, or fail the item.
    pub truncate: bool,
}

/// What to embed.
#[derive(Debug, Clone)]
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
    rgb: Arc<[u8]>,
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

// === impl RgbImage ===

impl RgbImage {
    /// Pixels of `width × height`, 3 bytes each.
    ///
    /// # Errors
    /// If a side is 0 or the length isn't `width * height * 3`.
    pub fn new(width: u32, height: u32, rgb: impl Into<Arc<[u8]>>) -> Result<Self, Invalid> {
        let rgb = rgb.into();
        let expected = u64::from(width) * u64::from(height) * 3;
        if expected == 0 {
            return Err(Invalid::new("image", format!("has no pixels ({width}×{height})")));
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
}
