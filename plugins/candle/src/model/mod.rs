//! Loaded models: tokens or pixels in, one row for each out. Rows are not normalised yet.

mod bert;
mod clip;
mod load;
mod rows;
mod siglip;
mod table;

pub(crate) use load::{Model, load};

use candle_core::Result;

/// Reads tokens.
pub(crate) trait TextTower: Send {
    /// One vector for each text, in order. Every text has at least one token, and every id is in the vocabulary.
    ///
    /// # Errors
    /// If the device fails.
    fn embed(&self, texts: &[&[u32]]) -> Result<Vec<Vec<f32>>>;
}

/// Reads pixels.
pub(crate) trait ImageTower: Send {
    /// One vector for each image, in order. Every image has the size of the image spec.
    ///
    /// # Errors
    /// If the device fails.
    fn embed(&self, images: &[&[u8]]) -> Result<Vec<Vec<f32>>>;
}
