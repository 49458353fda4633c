//! Linear maps, layer norms and patch embedding as tensor operations.

use candle_core::{D, DType, Device, Result, Tensor};

use super::tensor_dtype;
use crate::nn::{Compute, LinearWeights, NormWeights, PixelScale};

/// `x · Wᵀ + b`.
#[derive(Debug)]
pub(crate) struct Linear {
    /// `[in, out]`.
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// Moves `weights` to the device in the format of the tensor operations.
    pub(crate) fn new(weights: LinearWeights, compute: &Compute) -> Result<Self> {
        let ready = |x: &Tensor| x.to_device(&compute.device)?.to_dtype(tensor_dtype(compute));
        let bias = weights.bias.as_ref().map(ready).transpose()?;
        Ok(Self {
            weight: ready(&weights.weight)?.t()?,
            bias,
        })
    }

    /// `[.., in]` to `[.., out]`, in the weights' format.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = x.broadcast_matmul(&self.weight)?;
        match &self.bias {
            Some(bias) => y.broadcast_add(bias),
            None => Ok(y),
        }
    }

    /// f32 `[n, in]` to f32 `[n, out]`.
    pub(crate) fn forward_f32(&self, x: &Tensor) -> Result<Tensor> {
        let x = x.to_device(self.weight.device())?.to_dtype(self.weight.dtype())?;
        self.forward(&x)?.to_dtype(DType::F32)
    }
}

/// Layer norm over the last dimension, in f32 whatever comes in.
#[derive(Debug)]
pub(crate) struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

impl LayerNorm {
    /// Moves `weights` to the device as f32.
    pub(crate) fn new(weights: NormWeights, eps: f64, compute: &Compute) -> Result<Self> {
        let ready = |x: &Tensor| x.to_device(&compute.device)?.to_dtype(DType::F32);
        Ok(Self {
            weight: ready(&weights.weight)?,
            bias: ready(&weights.bias)?,
            eps,
        })
    }

    /// Normalises the last dimension; returns f32.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = x.to_device(self.weight.device())?.to_dtype(DType::F32)?;
        let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
        let scaled = centred.broadcast_div(&(variance + self.eps)?.sqrt()?)?;
        scaled.broadcast_mul(&self.weight)?.broadcast_add(&self.bias)
    }
}

/// Patches of 8-bit images to rows.
#[derive(Debug)]
pub(crate) struct PatchEmbed {
    linear: Linear,
    patch: usize,
    /// Per channel, `[1, 3, 1, 1]`: multiplied with the pixel, then added.
    factor: Tensor,
    offset: Tensor,
}

impl PatchEmbed {
    /// Prepares the convolution `weights`, `[hidden, 3 · patch · patch]`.
    pub(crate) fn new(weights: LinearWeights, patch: usize, scale: PixelScale, compute: &Compute) -> Result<Self> {
        let device = &compute.device;
        let factor: Vec<f32> = scale.std.iter().map(|std| scale.rescale / std).collect();
        let offset: Vec<f32> = scale
            .mean
            .iter()
            .zip(&scale.std)
            .map(|(mean, std)| -mean / std)
            .collect();
        Ok(Self {
            linear: Linear::new(weights, compute)?,
            patch,
            factor: Tensor::from_vec(factor, (1, 3, 1, 1), device)?,
            offset: Tensor::from_vec(offset, (1, 3, 1, 1), device)?,
        })
    }

    /// Embeds `images` of `height × width × 3` bytes; returns f32 `[images · patches, hidden]`.
    pub(crate) fn forward(&self, images: &[&[u8]], width: usize, height: usize) -> Result<Tensor> {
        let pixels = Tensor::from_vec(images.concat(), (images.len(), height, width, 3), &Device::Cpu)?;
        let pixels = pixels
            .to_device(self.factor.device())?
            .to_dtype(DType::F32)?
            .permute((0, 3, 1, 2))?;
        let pixels = pixels.broadcast_mul(&self.factor)?.broadcast_add(&self.offset)?;
        let (across, down, p) = (width / self.patch, height / self.patch, self.patch);
        let patches = pixels
            .narrow(2, 0, down * p)?
            .narrow(3, 0, across * p)?
            .contiguous()?
            .reshape(vec![images.len(), 3, down, p, across, p])?
            .permute(vec![0, 2, 4, 1, 3, 5])?
            .contiguous()?
            .reshape((images.len() * down * across, 3 * p * p))?;
        self.linear.forward_f32(&patches)
    }
}
