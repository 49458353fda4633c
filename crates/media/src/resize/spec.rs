//! What size a model takes, in the words of transformers' image processors.

/// How to bring any picture to the size that a model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ResizeSpec {
    /// Columns of the result; with [`ResizeMode::Fit`] the most.
    pub width: u32,
    /// Rows of the result; with [`ResizeMode::Fit`] the most.
    pub height: u32,
    /// What happens to other aspect ratios.
    pub mode: ResizeMode,
    /// The resampling filter.
    pub filter: Filter,
}

/// What happens to a picture of another aspect ratio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResizeMode {
    /// Both sides are scaled to the target, each by its own factor (SigLIP, ViT).
    Squash,
    /// The shorter side is scaled to `shortest_edge`, the longer one in proportion (rounded down), then the middle is
    /// cut out (CLIP); where the scaled picture is smaller than the target, black is put around it.
    ShortestEdgeCrop {
        /// Length of the shorter side after scaling.
        shortest_edge: u32,
    },
    /// The picture is scaled down until it fits, in proportion; one that fits stays as it is. As Pillow's `thumbnail`
    /// without its reducing gap.
    Fit,
}

/// Resampling filters, by Pillow's names. All but nearest widen with the scale, so that nothing aliases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Filter {
    /// Pillow's 0.
    Nearest,
    /// Pillow's 4.
    Box,
    /// Pillow's 2.
    Bilinear,
    /// Pillow's 5.
    Hamming,
    /// Pillow's 3; Catmull-Rom (a = -0.5).
    Bicubic,
    /// Pillow's 1; three lobes.
    Lanczos,
}

// === impl ResizeSpec ===

impl ResizeSpec {
    /// The most bytes of RGB pixels that come out.
    pub(crate) fn byte_len(&self) -> u64 {
        u64::from(self.width)
            .saturating_mul(u64::from(self.height))
            .saturating_mul(3)
    }
}
