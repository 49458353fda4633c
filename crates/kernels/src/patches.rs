//! Patch embedding: 8-bit pixels straight into the operand of one product.

use std::{
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::{
    buffer::Arena,
    layers::{PixelAffine, RgbImages},
    packed::Packed,
    pool::Pool,
    product::{Output, Product},
    rows::RowsMut,
    simd::{Elem, Kernel},
};

/// Rows embedded at a time by one thread.
const CHUNK_ROWS: usize = 196;

/// A convolution whose stride is its kernel, `patch × patch × 3`, over centred pixels.
///
/// Pixels enter as `pixel − 128`, whole numbers that even bf16 holds exactly; normalisation is in the weights and
/// bias, so that nothing is lost before the product.
#[derive(Debug)]
pub(crate) struct Patches<K: Kernel> {
    weights: Packed<K>,
    patch: usize,
}

impl<K: Kernel> Patches<K> {
    /// Packs the convolution: `weight` is `[outputs, 3, patch, patch]`.
    ///
    /// # Panics
    /// When the slices do not have these sizes.
    pub(crate) fn new(weight: &[f32], bias: Option<&[f32]>, outputs: usize, patch: usize, affine: PixelAffine) -> Self {
        let inputs = 3 * patch * patch;
        assert_eq!(
            weight.len(),
            outputs * inputs,
            "weight must be outputs × 3 × patch × patch"
        );
        let mut folded = vec![0.0f32; weight.len()];
        let mut shifted = vec![0.0f32; outputs];
        for (output, (from, to)) in weight.chunks(inputs).zip(folded.chunks_mut(inputs)).enumerate() {
            let mut shift = f64::from(bias.map_or(0.0, |bias| bias[output]));
            for (pixel, to) in to.chunks_mut(3).enumerate() {
                for (channel, to) in to.iter_mut().enumerate() {
                    let (w, factor) = (from[channel * patch * patch + pixel], affine.factor[channel]);
                    let stored = K::Elem::from_f32(w * factor).to_f32();
                    *to = stored;
                    // The same rounded weight moves the centre back, so that rounding acts on centred pixels only.
                    let centre = 128.0 + f64::from(affine.offset[channel]) / f64::from(factor);
                    shift += f64::from(stored) * centre;
                }
            }
            shifted[output] = shift as f32;
        }
        Self {
            weights: Packed::new(&folded, outputs, inputs, Some(&shifted)),
            patch,
        }
    }

    /// Patches of one image.
    fn count(&self, images: &RgbImages<'_>) -> usize {
        (images.width / self.patch) * (images.height / self.patch)
    }

    /// Embeds all patches; returns `[images · patches, outputs]`.
    ///
    /// # Safety
    /// The CPU has the features of `K`.
    ///
    /// # Panics
    /// When an image is not `height · width · 3` bytes.
    pub(crate) unsafe fn forward(&self, images: &RgbImages<'_>, pool: &Pool) -> Vec<f32> {
        for image in images.images {
            assert_eq!(
                image.len(),
                images.width * images.height * 3,
                "an image is height × width × 3 bytes"
            );
        }
        let total = images.images.len() * self.count(images);
        let outputs = self.weights.outputs();
        let mut result = vec![0.0f32; total * outputs];
        let to = RowsMut::new(&mut result, outputs);
        let parts = total.div_ceil(CHUNK_ROWS).next_multiple_of(pool.threads()).max(1);
        let next = AtomicUsize::new(0);
        pool.run(|member| {
            loop {
                let part = next.fetch_add(1, Ordering::Relaxed);
                if part >= parts {
                    return;
                }
                let rows = super::pool::share(total, part, parts);
                // SAFETY: the CPU's features are the caller's word; parts do not overlap.
                unsafe { self.embed(images, rows, to, member.arena) }
            }
        });
        result
    }

    /// Embeds the patches `rows`, counted over all images.
    unsafe fn embed(&self, images: &RgbImages<'_>, rows: Range<usize>, to: RowsMut<'_, f32>, arena: &mut Arena) {
        let stride = self.weights.inputs().next_multiple_of(K::Elem::GROUP);
        let size = rows.len() * stride;
        let operand = arena.carve(Arena::size::<K::Elem>(size)).take::<K::Elem>(size);
        for (row, operand) in rows.clone().zip(operand.chunks_mut(stride)) {
            self.gather(images, row, operand);
        }
        let a = RowsMut::new(operand, stride).as_rows();
        let part = Product {
            a,
            weights: &self.weights,
            rows: 0..rows.len(),
            panels: 0..self.weights.panels(),
            output: Output::Store(to.from(rows.start, 0)),
            activation: None,
        };
        // SAFETY: the operand holds these rows; the caller keeps parts of the output apart.
        unsafe { part.compute() }
    }

    /// Copies one patch, centred, line by line.
    fn gather(&self, images: &RgbImages<'_>, row: usize, operand: &mut [K::Elem]) {
        let (patch, across) = (self.patch, images.width / self.patch);
        let image = images.images[row / self.count(images)];
        let index = row % self.count(images);
        let (top, left) = (index / across * patch, index % across * patch);
        let (pixels, padding) = operand.split_at_mut(self.weights.inputs());
        for (line, to) in pixels.chunks_mut(3 * patch).enumerate() {
            let from = &image[((top + line) * images.width + left) * 3..][..3 * patch];
            for (to, pixel) in to.iter_mut().zip(from) {
                *to = K::Elem::from_small(i16::from(*pixel) - 128);
            }
        }
        padding.fill(K::Elem::ZERO);
    }
}
