//! The layers on the CPU kernels: tensors to slices and back.

use candle_core::{DType, Device, Result, Storage, Tensor, bail};
use sensorium_kernels::{self as kernels, Cpu, RgbImages};

use super::{AttentionShape, EncoderConfig, LayerWeights, LinearWeights, NormPlacement, NormWeights, PixelScale};

/// [`super::Encoder`] on the CPU kernels.
#[derive(Debug)]
pub(super) struct Encoder(kernels::Encoder);

impl Encoder {
    /// Packs checked layers.
    pub(super) fn new(config: &EncoderConfig, layers: Vec<LayerWeights>, cpu: Cpu) -> Result<Self> {
        let shape = kernels::EncoderShape {
            hidden: config.hidden,
            heads: config.heads,
            intermediate: config.intermediate,
            activation: config.activation,
            norm_eps: config.norm_eps as f32,
            norm_first: config.placement == NormPlacement::Pre,
        };
        let layers = layers.into_iter().map(|layer| unpack_layer(&layer));
        kernels::Encoder::new(shape, layers, &cpu).map(Self)
    }

    /// Checked f32 rows to the same shape.
    pub(super) fn forward(&self, x: &Tensor, lengths: &[usize], causal: bool) -> Result<Tensor> {
        let mut rows = values(x)?;
        self.0.forward(&mut rows, lengths, causal);
        Tensor::from_vec(rows, x.shape(), &Device::Cpu)
    }
}

fn unpack_layer(weights: &LayerWeights) -> Result<kernels::LayerWeights> {
    Ok(kernels::LayerWeights {
        norm1: norm(&weights.norm1)?,
        qkv: linear(&weights.fused_qkv()?)?,
        output: linear(&weights.output)?,
        norm2: norm(&weights.norm2)?,
        up: linear(&weights.up)?,
        down: linear(&weights.down)?,
    })
}

fn linear(weights: &LinearWeights) -> Result<kernels::LinearWeights> {
    Ok(kernels::LinearWeights {
        weight: values(&weights.weight)?,
        bias: weights.bias.as_ref().map(values).transpose()?,
    })
}

fn norm(weights: &NormWeights) -> Result<kernels::NormWeights> {
    Ok(kernels::NormWeights {
        weight: values(&weights.weight)?,
        bias: values(&weights.bias)?,
    })
}

/// [`super::Linear`] on the CPU kernels.
#[derive(Debug)]
pub(super) struct Linear(kernels::Linear);

impl Linear {
    /// Packs checked weights.
    pub(super) fn new(weights: &LinearWeights, cpu: Cpu) -> Result<Self> {
        let (outputs, inputs) = weights.weight.dims2()?;
        Ok(Self(kernels::Linear::new(&linear(weights)?, outputs, inputs, &cpu)))
    }

    /// f32 `[n, in]` to f32 `[n, out]`.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (rows, width) = x.dims2()?;
        if width != self.0.inputs() {
            bail!("x is {width} wide; the map takes {}", self.0.inputs())
        }
        Tensor::from_vec(self.0.forward(&values(x)?), (rows, self.0.outputs()), &Device::Cpu)
    }
}

/// [`super::LayerNorm`] on the CPU kernels.
#[derive(Debug)]
pub(super) struct LayerNorm(kernels::LayerNorm);

impl LayerNorm {
    /// Takes the weights as f32.
    pub(super) fn new(weights: &NormWeights, eps: f64, cpu: Cpu) -> Result<Self> {
        Ok(Self(kernels::LayerNorm::new(norm(weights)?, eps as f32, &cpu)))
    }

    /// Normalises the rows of f32 `[n, hidden]`.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (_, width) = x.dims2()?;
        if width != self.0.width() {
            bail!("x is {width} wide; the norm takes {}", self.0.width())
        }
        let mut rows = values(x)?;
        self.0.forward(&mut rows);
        Tensor::from_vec(rows, x.shape(), &Device::Cpu)
    }
}

/// [`super::PatchEmbed`] on the CPU kernels.
#[derive(Debug)]
pub(super) struct PatchEmbed {
    patches: kernels::PatchEmbed,
    outputs: usize,
}

impl PatchEmbed {
    /// Packs a checked convolution, `[hidden, 3 · patch · patch]`.
    pub(super) fn new(weights: &LinearWeights, patch: usize, scale: PixelScale, cpu: Cpu) -> Result<Self> {
        let affine = kernels::PixelAffine {
            factor: scale.std.map(|std| scale.rescale / std),
            offset: std::array::from_fn(|channel| -scale.mean[channel] / scale.std[channel]),
        };
        let outputs = weights.weight.dim(0)?;
        let patches = kernels::PatchEmbed::new(&linear(weights)?, outputs, patch, affine, &cpu);
        Ok(Self { patches, outputs })
    }

    /// Checked images to f32 `[images · patches, hidden]`.
    pub(super) fn forward(&self, images: &[&[u8]], width: usize, height: usize) -> Result<Tensor> {
        let rows = self.patches.forward(&RgbImages { images, width, height });
        let count = rows.len() / self.outputs.max(1);
        Tensor::from_vec(rows, (count, self.outputs), &Device::Cpu)
    }
}

/// [`super::attention`] on the CPU kernels, for checked shapes.
pub(super) fn attention(q: &Tensor, k: &Tensor, v: &Tensor, shape: AttentionShape<'_>, cpu: &Cpu) -> Result<Tensor> {
    let (out, [q, k, v]) = (q.shape(), [values(q)?, values(k)?, values(v)?]);
    let rows = kernels::AttentionRows {
        q: &q,
        k: &k,
        v: &v,
        heads: shape.heads,
        dim: out.dims()[1] / shape.heads,
        q_lengths: shape.q_lengths,
        kv_lengths: shape.kv_lengths,
        causal: shape.causal,
    };
    Tensor::from_vec(kernels::attention(&rows, cpu), out, &Device::Cpu)
}

/// The elements of a tensor of any float format, as f32, in order.
fn values(x: &Tensor) -> Result<Vec<f32>> {
    let x = x.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.contiguous()?;
    let (storage, layout) = x.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => {
            let all = storage.as_slice::<f32>()?;
            Ok(all[layout.start_offset()..][..layout.shape().elem_count()].to_vec())
        }
        _ => bail!("a tensor on the CPU has CPU storage"),
    }
}
