//! The transformer encoder as tensor operations over a padded batch.

use candle_core::{DType, Device, Result, Tensor};

use super::{
    attention::padded_attention,
    layers::{LayerNorm, Linear},
    ragged::{Ragged, additive_mask},
    tensor_dtype,
};
use crate::nn::{Activation, Compute, EncoderConfig, LayerWeights, LinearWeights, NormPlacement};

/// A stack of transformer layers; see [`crate::nn::Encoder`].
#[derive(Debug)]
pub(crate) struct Encoder {
    config: EncoderConfig,
    device: Device,
    dtype: DType,
    layers: Vec<Layer>,
}

#[derive(Debug)]
struct Layer {
    norm1: LayerNorm,
    /// Query, key and value as one map.
    qkv: Linear,
    output: Linear,
    norm2: LayerNorm,
    up: Linear,
    down: Linear,
}

impl Encoder {
    /// Moves `layers` to the device.
    pub(crate) fn new(config: EncoderConfig, layers: Vec<LayerWeights>, compute: &Compute) -> Result<Self> {
        let layers = layers
            .into_iter()
            .map(|layer| Layer::new(layer, config.norm_eps, compute))
            .collect::<Result<_>>()?;
        Ok(Self {
            config,
            device: compute.device.clone(),
            dtype: tensor_dtype(compute),
            layers,
        })
    }

    /// f32 `[total, hidden]` to the same shape.
    pub(crate) fn forward(&self, x: &Tensor, lengths: &[usize], causal: bool) -> Result<Tensor> {
        let rows = Ragged::new(lengths, &self.device)?;
        let even = lengths.iter().all(|length| *length == lengths[0]);
        let mask = match causal || !even {
            true => Some(additive_mask(lengths, lengths, causal, self.dtype, &self.device)?),
            false => None,
        };
        let mut x = rows.pad(&x.to_device(&self.device)?.to_dtype(DType::F32)?)?;
        for layer in &self.layers {
            x = self.layer(layer, &x, mask.as_ref())?;
        }
        rows.unpad(&x)
    }

    /// One layer over `[batch, length, hidden]`. The residual stream stays f32; blocks run in the weights' format.
    fn layer(&self, layer: &Layer, x: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        match self.config.placement {
            NormPlacement::Pre => {
                let x = (x + self.attend(layer, &layer.norm1.forward(x)?, mask)?)?;
                &x + self.feed_forward(layer, &layer.norm2.forward(&x)?)?
            }
            NormPlacement::Post => {
                let x = layer.norm1.forward(&(x + self.attend(layer, x, mask)?)?)?;
                layer.norm2.forward(&(&x + self.feed_forward(layer, &x)?)?)
            }
        }
    }

    fn attend(&self, layer: &Layer, x: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        let hidden = self.config.hidden;
        let qkv = layer.qkv.forward(&x.to_dtype(self.dtype)?)?;
        let part = |index: usize| qkv.narrow(2, index * hidden, hidden)?.contiguous();
        let context = padded_attention(&part(0)?, &part(1)?, &part(2)?, self.config.heads, mask)?;
        layer.output.forward(&context)?.to_dtype(DType::F32)
    }

    fn feed_forward(&self, layer: &Layer, x: &Tensor) -> Result<Tensor> {
        let up = layer.up.forward(&x.to_dtype(self.dtype)?)?;
        layer
            .down
            .forward(&activate(self.config.activation, &up)?)?
            .to_dtype(DType::F32)
    }
}

impl Layer {
    fn new(weights: LayerWeights, eps: f64, compute: &Compute) -> Result<Self> {
        let qkv = weights.fused_qkv()?;
        let linear = |weights: LinearWeights| Linear::new(weights, compute);
        Ok(Self {
            norm1: LayerNorm::new(weights.norm1, eps, compute)?,
            qkv: linear(qkv)?,
            output: linear(weights.output)?,
            norm2: LayerNorm::new(weights.norm2, eps, compute)?,
            up: linear(weights.up)?,
            down: linear(weights.down)?,
        })
    }
}

fn activate(activation: Activation, x: &Tensor) -> Result<Tensor> {
    match activation {
        Activation::QuickGelu => x * candle_nn::ops::sigmoid(&(x * 1.702f64)?)?,
        Activation::Gelu => x.gelu_erf(),
        Activation::GeluTanh => x.gelu(),
        Activation::Relu => x.relu(),
        Activation::Silu => x.silu(),
    }
}
