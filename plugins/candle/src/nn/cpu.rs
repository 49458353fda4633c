//! The layers on the CPU kernels: tensors to slices and back, and the tier's type behind a trait object.

use std::fmt::Debug;

use candle_core::{DType, Device, Result, Storage, Tensor, bail};

use super::{
    AttentionShape, EncoderConfig, LayerWeights, LinearWeights, NormPlacement, NormWeights, PixelScale, compute::Cpu,
};
use crate::kernels::{self, Images, Kernel, Packed, Patches, PixelAffine, Pool, Stack, StackShape, with_kernel};

/// A stack of layers packed for some tier that runs here.
trait AnyStack: Send + Sync + Debug {
    fn forward(&self, x: &mut [f32], lengths: &[usize], causal: bool, pool: &Pool);
}

/// A linear map packed for some tier that runs here.
trait AnyLinear: Send + Sync + Debug {
    fn forward(&self, x: &[f32], pool: &Pool) -> Vec<f32>;
    fn sizes(&self) -> (usize, usize);
}

/// Patch embedding packed for some tier that runs here.
trait AnyPatches: Send + Sync + Debug {
    fn forward(&self, images: &Images<'_>, pool: &Pool) -> Vec<f32>;
}

// A `Cpu` only ever holds a tier that runs here, and these are only made for its tier.
impl<K: Kernel + Debug> AnyStack for Stack<K> {
    fn forward(&self, x: &mut [f32], lengths: &[usize], causal: bool, pool: &Pool) {
        // SAFETY: made for a tier that runs here.
        unsafe { Stack::forward(self, x, lengths, causal, pool) }
    }
}

impl<K: Kernel + Debug> AnyLinear for Packed<K> {
    fn forward(&self, x: &[f32], pool: &Pool) -> Vec<f32> {
        // SAFETY: made for a tier that runs here.
        unsafe { kernels::linear(self, x, pool) }
    }

    fn sizes(&self) -> (usize, usize) {
        (self.inputs(), self.outputs())
    }
}

impl<K: Kernel + Debug> AnyPatches for Patches<K> {
    fn forward(&self, images: &Images<'_>, pool: &Pool) -> Vec<f32> {
        // SAFETY: made for a tier that runs here.
        unsafe { Patches::forward(self, images, pool) }
    }
}

/// [`super::Encoder`] on the CPU kernels.
#[derive(Debug)]
pub(super) struct Encoder {
    stack: Box<dyn AnyStack>,
    cpu: Cpu,
}

impl Encoder {
    /// Packs checked layers.
    pub(super) fn new(config: &EncoderConfig, layers: Vec<LayerWeights>, cpu: Cpu) -> Result<Self> {
        let shape = StackShape {
            hidden: config.hidden,
            heads: config.heads,
            intermediate: config.intermediate,
            activation: config.activation,
            norm_first: config.placement == NormPlacement::Pre,
        };
        let stack: Box<dyn AnyStack> = with_kernel!(cpu.tier, K => {
            let layers = layers.into_iter().map(|layer| pack_layer::<K>(&layer, config.norm_eps));
            Box::new(Stack::<K>::new(shape, layers.collect::<Result<_>>()?))
        });
        Ok(Self { stack, cpu })
    }

    /// Checked f32 rows to the same shape.
    pub(super) fn forward(&self, x: &Tensor, lengths: &[usize], causal: bool) -> Result<Tensor> {
        let mut rows = values(x)?;
        self.stack.forward(&mut rows, lengths, causal, &self.cpu.pool);
        Tensor::from_vec(rows, x.shape(), &Device::Cpu)
    }
}

fn pack_layer<K: Kernel>(weights: &LayerWeights, eps: f64) -> Result<kernels::Layer<K>> {
    Ok(kernels::Layer {
        norm1: norm(&weights.norm1, eps)?,
        qkv: pack(&weights.fused_qkv()?)?,
        output: pack(&weights.output)?,
        norm2: norm(&weights.norm2, eps)?,
        up: pack(&weights.up)?,
        down: pack(&weights.down)?,
    })
}

fn pack<K: Kernel>(weights: &LinearWeights) -> Result<Packed<K>> {
    let (outputs, inputs) = weights.weight.dims2()?;
    let bias = weights.bias.as_ref().map(values).transpose()?;
    Ok(Packed::new(&values(&weights.weight)?, outputs, inputs, bias.as_deref()))
}

fn norm(weights: &NormWeights, eps: f64) -> Result<kernels::Norm> {
    Ok(kernels::Norm::new(
        values(&weights.weight)?,
        values(&weights.bias)?,
        eps as f32,
    ))
}

/// [`super::Linear`] on the CPU kernels.
#[derive(Debug)]
pub(super) struct Linear {
    map: Box<dyn AnyLinear>,
    cpu: Cpu,
}

impl Linear {
    /// Packs checked weights.
    pub(super) fn new(weights: &LinearWeights, cpu: Cpu) -> Result<Self> {
        let map: Box<dyn AnyLinear> = with_kernel!(cpu.tier, K => Box::new(pack::<K>(weights)?));
        Ok(Self { map, cpu })
    }

    /// f32 `[n, in]` to f32 `[n, out]`.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (rows, width) = x.dims2()?;
        let (inputs, outputs) = self.map.sizes();
        if width != inputs {
            bail!("x is {width} wide; the map takes {inputs}")
        }
        Tensor::from_vec(
            self.map.forward(&values(x)?, &self.cpu.pool),
            (rows, outputs),
            &Device::Cpu,
        )
    }
}

/// [`super::LayerNorm`] on the CPU kernels.
#[derive(Debug)]
pub(super) struct LayerNorm {
    norm: kernels::Norm,
    cpu: Cpu,
}

impl LayerNorm {
    /// Takes the weights as f32.
    pub(super) fn new(weights: &NormWeights, eps: f64, cpu: Cpu) -> Result<Self> {
        Ok(Self {
            norm: norm(weights, eps)?,
            cpu,
        })
    }

    /// Normalises the rows of f32 `[n, hidden]`.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (_, width) = x.dims2()?;
        if width != self.norm.width() {
            bail!("x is {width} wide; the norm takes {}", self.norm.width())
        }
        let mut rows = values(x)?;
        // SAFETY: a `Cpu` only ever holds a tier that runs here.
        with_kernel!(self.cpu.tier, K => unsafe { kernels::layer_norm::<K>(&self.norm, &mut rows, &self.cpu.pool) });
        Tensor::from_vec(rows, x.shape(), &Device::Cpu)
    }
}

/// [`super::PatchEmbed`] on the CPU kernels.
#[derive(Debug)]
pub(super) struct PatchEmbed {
    patches: Box<dyn AnyPatches>,
    outputs: usize,
    cpu: Cpu,
}

impl PatchEmbed {
    /// Packs a checked convolution, `[hidden, 3 · patch · patch]`.
    pub(super) fn new(weights: &LinearWeights, patch: usize, scale: PixelScale, cpu: Cpu) -> Result<Self> {
        let affine = PixelAffine {
            factor: scale.std.map(|std| scale.rescale / std),
            offset: std::array::from_fn(|channel| -scale.mean[channel] / scale.std[channel]),
        };
        let outputs = weights.weight.dim(0)?;
        let (weight, bias) = (values(&weights.weight)?, weights.bias.as_ref().map(values).transpose()?);
        let patches: Box<dyn AnyPatches> = with_kernel!(cpu.tier, K => {
            Box::new(Patches::<K>::new(&weight, bias.as_deref(), outputs, patch, affine))
        });
        Ok(Self { patches, outputs, cpu })
    }

    /// Checked images to f32 `[images · patches, hidden]`.
    pub(super) fn forward(&self, images: &[&[u8]], width: usize, height: usize) -> Result<Tensor> {
        let rows = self.patches.forward(&Images { images, width, height }, &self.cpu.pool);
        let count = rows.len() / self.outputs.max(1);
        Tensor::from_vec(rows, (count, self.outputs), &Device::Cpu)
    }
}

/// [`super::attention`] on the CPU kernels, for checked shapes.
pub(super) fn attention(q: &Tensor, k: &Tensor, v: &Tensor, shape: AttentionShape<'_>, cpu: &Cpu) -> Result<Tensor> {
    let (out, [q, k, v]) = (q.shape(), [values(q)?, values(k)?, values(v)?]);
    let task = kernels::Attention {
        q: &q,
        k: &k,
        v: &v,
        heads: shape.heads,
        dim: out.dims()[1] / shape.heads,
        q_lengths: shape.q_lengths,
        kv_lengths: shape.kv_lengths,
        causal: shape.causal,
    };
    // SAFETY: a `Cpu` only ever holds a tier that runs here.
    let rows = with_kernel!(cpu.tier, K => unsafe { kernels::attention::<K>(&task, &cpu.pool) });
    Tensor::from_vec(rows, out, &Device::Cpu)
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
