//! Patch embedding: a convolution whose stride is its kernel, over 8-bit pixels, with normalisation folded in.

use candle_core::{Result, Tensor, bail};

use super::{Compute, LinearWeights, cpu, ops};

/// How 8-bit pixels become numbers: `(pixel · rescale − mean[c]) / std[c]`.
#[derive(Clone, Copy, Debug)]
pub struct PixelScale {
    /// Factor applied to the pixel, usually 1/255.
    pub rescale: f32,
    /// Mean of each channel, after `rescale`.
    pub mean: [f32; 3],
    /// Standard deviation of each channel, after `rescale`.
    pub std: [f32; 3],
}

/// Maps every patch of an image to one row.
#[derive(Debug)]
pub struct PatchEmbed {
    patch: usize,
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    Kernels(cpu::PatchEmbed),
    Tensors(ops::PatchEmbed),
}

impl PatchEmbed {
    /// Prepares a convolution `weight` `[hidden, 3, patch, patch]` with optional `bias` `[hidden]`.
    ///
    /// # Errors
    /// When the shapes do not fit or a `std` or `rescale` is zero.
    pub fn new(weight: Tensor, bias: Option<Tensor>, scale: PixelScale, compute: &Compute) -> Result<Self> {
        let (hidden, channels, height, width) = weight.dims4()?;
        if channels != 3 || height != width || height == 0 {
            bail!(
                "patch weight has shape {:?}, expected [hidden, 3, patch, patch]",
                weight.dims()
            )
        }
        if scale.std.contains(&0.0) || scale.rescale == 0.0 {
            bail!("image std and rescale_factor must not be 0")
        }
        let weights = LinearWeights {
            weight: weight.reshape((hidden, 3 * height * width))?,
            bias,
        };
        weights.check()?;
        let inner = match compute.cpu() {
            Some(cpu) => Inner::Kernels(cpu::PatchEmbed::new(&weights, height, scale, cpu)?),
            None => Inner::Tensors(ops::PatchEmbed::new(weights, height, scale, compute)?),
        };
        Ok(Self { patch: height, inner })
    }

    /// Embeds `images`, each `height × width × 3` bytes (rows, then pixels, then RGB).
    ///
    /// Returns f32 `[images · patches, hidden]`, patches row by row; pixels right of and below the last whole patch
    /// are left out, as a convolution does.
    ///
    /// # Errors
    /// When there is no image, its size is not `height · width · 3` bytes, or it is smaller than one patch.
    pub fn forward(&self, images: &[&[u8]], width: usize, height: usize) -> Result<Tensor> {
        if images.is_empty() {
            bail!("images must not be empty")
        }
        if width < self.patch || height < self.patch {
            bail!(
                "image of {width}×{height} is smaller than one patch of {0}×{0}",
                self.patch
            )
        }
        for (index, image) in images.iter().enumerate() {
            if image.len() != width * height * 3 {
                bail!("image {index} has {} bytes, expected {width}×{height}×3", image.len())
            }
        }
        match &self.inner {
            Inner::Kernels(embed) => embed.forward(images, width, height),
            Inner::Tensors(embed) => embed.forward(images, width, height),
        }
    }
}
