//! Pictures for the engine, of what the tower sees in an image.

use std::sync::Arc;

use image::RgbImage;

use super::{Code, Tower, code::TooLong, recent::Recent};

/// The tower of one model, and what it saw lately.
#[derive(Debug)]
pub(crate) struct Eye {
    tower: Tower,
    code: Code,
    seen: Recent<RgbImage>,
}

// === impl Eye ===

impl Eye {
    /// `code` has room for what `tower` makes.
    pub(super) fn new(tower: Tower, code: Code) -> Self {
        Self {
            tower,
            code,
            seen: Recent::new(),
        }
    }

    /// The picture that tells the engine what is in `rgb`, `side × side × 3` bytes. All of the instance's threads work on
    /// it, unless it was seen lately.
    ///
    /// # Errors
    /// If the model's weights make numbers of it that are too large, or none.
    ///
    /// # Panics
    /// When `rgb` isn't as long.
    pub(crate) fn picture(&self, rgb: &[u8]) -> Result<Arc<RgbImage>, TooLong> {
        let key = blake3::hash(rgb);
        if let Some(picture) = self.seen.get(&key) {
            return Ok(picture);
        }
        let picture = Arc::new(self.code.picture(&self.tower.tokens(rgb))?);
        self.seen.put(key, picture.clone());
        Ok(picture)
    }
}
