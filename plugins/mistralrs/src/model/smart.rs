//! The size in which Qwen's vision models see an image: sides that are multiples of a factor, about as many pixels as
//! before, within bounds, with the aspect ratio kept as well as that allows (`smart_resize` of transformers'
//! Qwen2VLImageProcessor).

/// Most that one side may be longer than the other.
pub(crate) const MAX_ASPECT: u32 = 200;

/// Bounds of a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Smart {
    /// Both sides are multiples of this, in pixels.
    pub(crate) factor: u32,
    /// Fewest pixels.
    pub(crate) min_pixels: u64,
    /// Most pixels.
    pub(crate) max_pixels: u64,
}

// === impl Smart ===

impl Smart {
    /// Width and height for an image of this size; `None` if one side is more than [`MAX_ASPECT`] times the other.
    pub(crate) fn size(self, width: u32, height: u32) -> Option<(u32, u32)> {
        if width.max(height) > width.min(height).saturating_mul(MAX_ASPECT) {
            return None;
        }
        let factor = f64::from(self.factor);
        let (w, h) = (f64::from(width), f64::from(height));
        let times = |side: f64, by: f64, round: fn(f64) -> f64| round(side * by / factor) * factor;
        let (mut wide, mut high) = (times(w, 1.0, f64::round_ties_even), times(h, 1.0, f64::round_ties_even));
        if wide * high > self.max_pixels as f64 {
            let by = (self.max_pixels as f64 / (w * h)).sqrt();
            (wide, high) = (
                times(w, by, f64::floor).max(factor),
                times(h, by, f64::floor).max(factor),
            );
        } else if wide * high < self.min_pixels as f64 {
            let by = (self.min_pixels as f64 / (w * h)).sqrt();
            (wide, high) = (times(w, by, f64::ceil), times(h, by, f64::ceil));
        }
        // Bounds closer than one factor: what the engine's own rounding must not change again.
        Some((wide.max(factor) as u32, high.max(factor) as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_transformers_computes_them() {
        let qwen = Smart {
            factor: 28,
            min_pixels: 56 * 56,
            max_pixels: 28 * 28 * 1280,
        };
        for (size, expected) in [
            ((224, 224), Some((224, 224))),
            ((640, 480), Some((644, 476))),
            ((1, 1), Some((56, 56))),
            ((4000, 3000), Some((1148, 840))),
            ((70, 42), Some((56, 56))),
            ((2001, 10), None),
            ((2000, 10), Some((812, 28))),
        ] {
            assert_eq!(qwen.size(size.0, size.1), expected, "{size:?}");
        }
    }
}
