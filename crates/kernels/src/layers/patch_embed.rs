//! Patch embedding: a convolution whose stride is its kernel, over 8-bit pixels, with normalisation folded in.

use std::fmt::Debug;

use crate::{cpu::Cpu, patches::Patches, pool::Pool, simd::Kernel, tier::with_kernel};

use super::LinearWeights;

/// How pixels of each channel are normalised: `pixel · factor + offset`.
#[derive(Clone, Copy, Debug)]
pub struct PixelAffine {
    /// Not 0.
    pub factor: [f32; 3],
    /// Added after `factor`.
    pub offset: [f32; 3],
}

/// Images of one size: rows, then pixels, then red, green and blue.
#[derive(Clone, Copy, Debug)]
pub struct RgbImages<'a> {
    /// Each `width · height · 3` bytes.
    pub images: &'a [&'a [u8]],
    /// Pixels of a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// Maps every patch of an image to one row.
#[derive(Debug)]
pub struct PatchEmbed {
    patches: Box<dyn AnyPatches>,
    cpu: Cpu,
}

/// Patch embedding packed for some tier that runs here.
trait AnyPatches: Send + Sync + Debug {
    fn forward(&self, images: &RgbImages<'_>, pool: &Pool) -> Vec<f32>;
}

// A `Cpu` only ever holds a tier that runs here, and patches are only packed for its tier.
impl<K: Kernel + Debug> AnyPatches for Patches<K> {
    fn forward(&self, images: &RgbImages<'_>, pool: &Pool) -> Vec<f32> {
        // SAFETY: made for a tier that runs here.
        unsafe { Patches::forward(self, images, pool) }
    }
}

impl PatchEmbed {
    /// Packs the convolution: `weights` is `[outputs, 3, patch, patch]`.
    ///
    /// # Panics
    /// When the weights don't have these sizes.
    pub fn new(weights: &LinearWeights, outputs: usize, patch: usize, affine: PixelAffine, cpu: &Cpu) -> Self {
        let bias = weights.bias.as_deref();
        let patches: Box<dyn AnyPatches> =
            with_kernel!(cpu.tier(), K => Box::new(Patches::<K>::new(&weights.weight, bias, outputs, patch, affine)));
        Self {
            patches,
            cpu: cpu.clone(),
        }
    }

    /// Embeds all patches: `[images · patches, outputs]`, patches row by row; pixels right of and below the last whole
    /// patch are left out, as a convolution does.
    ///
    /// # Panics
    /// When an image is not `height · width · 3` bytes.
    pub fn forward(&self, images: &RgbImages<'_>) -> Vec<f32> {
        self.patches.forward(images, self.cpu.pool())
    }
}
