//! Weights as they come from a checkpoint, and the shape of an encoder.

use candle_core::Tensor;

use super::Activation;

/// Scale and shift of a layer norm.
#[derive(Clone, Debug)]
pub struct NormWeights {
    /// `[hidden]`.
    pub weight: Tensor,
    /// `[hidden]`.
    pub bias: Tensor,
}

/// A linear map as PyTorch stores it.
#[derive(Clone, Debug)]
pub struct LinearWeights {
    /// `[out, in]`.
    pub weight: Tensor,
    /// `[out]`.
    pub bias: Option<Tensor>,
}

/// The weights of one transformer layer.
#[derive(Clone, Debug)]
pub struct LayerWeights {
    /// Norm of the attention block: before it (`Pre`) or after its residual sum (`Post`).
    pub norm1: NormWeights,
    /// Query projection, `[hidden, hidden]`.
    pub query: LinearWeights,
    /// Key projection, `[hidden, hidden]`.
    pub key: LinearWeights,
    /// Value projection, `[hidden, hidden]`.
    pub value: LinearWeights,
    /// Projection after attention, `[hidden, hidden]`.
    pub output: LinearWeights,
    /// Norm of the feed-forward block.
    pub norm2: NormWeights,
    /// `fc1`, `[intermediate, hidden]`.
    pub up: LinearWeights,
    /// `fc2`, `[hidden, intermediate]`.
    pub down: LinearWeights,
}

/// Where the layer norms of a transformer layer stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormPlacement {
    /// Before each block: `x + block(norm(x))` (CLIP, SigLIP).
    Pre,
    /// After each residual sum: `norm(x + block(x))` (BERT).
    Post,
}

/// The shape of a stack of equal transformer layers.
#[derive(Clone, Debug)]
pub struct EncoderConfig {
    /// Width of the residual stream.
    pub hidden: usize,
    /// Attention heads; divides `hidden`.
    pub heads: usize,
    /// Width between the two maps of the feed-forward block.
    pub intermediate: usize,
    /// Activation of the feed-forward block.
    pub activation: Activation,
    /// Added to the variance in every layer norm.
    pub norm_eps: f64,
    /// Where the layer norms stand.
    pub placement: NormPlacement,
}

impl NormWeights {
    /// Checks that weight and bias are vectors of one length.
    pub(crate) fn check(&self) -> candle_core::Result<()> {
        let width = self.weight.dims1()?;
        if self.bias.dims() != [width] {
            candle_core::bail!("norm bias has shape {:?}, expected [{width}]", self.bias.dims())
        }
        Ok(())
    }
}

impl LinearWeights {
    /// Checks that the weight is a matrix and the bias, if any, as long as its rows.
    pub(crate) fn check(&self) -> candle_core::Result<()> {
        let (out, _) = self.weight.dims2()?;
        match &self.bias {
            Some(bias) if bias.dims() != [out] => {
                candle_core::bail!("bias has shape {:?}, expected [{out}]", bias.dims())
            }
            _ => Ok(()),
        }
    }
}

impl LayerWeights {
    /// Query, key and value as one map, `[3 · hidden, hidden]`; missing biases count as zero.
    pub(crate) fn fused_qkv(&self) -> candle_core::Result<LinearWeights> {
        let parts = [&self.query, &self.key, &self.value];
        let weight = Tensor::cat(&parts.map(|part| &part.weight), 0)?;
        if parts.iter().all(|part| part.bias.is_none()) {
            return Ok(LinearWeights { weight, bias: None });
        }
        let biases = parts.map(|part| match &part.bias {
            Some(bias) => Ok(bias.clone()),
            None => Tensor::zeros(part.weight.dim(0)?, part.weight.dtype(), part.weight.device()),
        });
        let biases = biases.into_iter().collect::<candle_core::Result<Vec<_>>>()?;
        Ok(LinearWeights {
            weight,
            bias: Some(Tensor::cat(&biases, 0)?),
        })
    }
}
