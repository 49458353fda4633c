//! A stack of transformer layers over ragged sequences.

use std::fmt::Debug;

use crate::{
    activation::Activation,
    cpu::Cpu,
    norm::Norm,
    packed::Packed,
    pool::Pool,
    simd::Kernel,
    stack::{Layer, Stack},
    tier::with_kernel,
};

/// The sizes and switches that all layers of an encoder share.
#[derive(Clone, Copy, Debug)]
pub struct EncoderShape {
    /// Width of the residual stream.
    pub hidden: usize,
    /// Attention heads; divides `hidden`.
    pub heads: usize,
    /// Width between the two maps of the feed-forward block.
    pub intermediate: usize,
    /// Activation of the feed-forward block.
    pub activation: Activation,
    /// Added to the variance in every layer norm.
    pub norm_eps: f32,
    /// Norms before the blocks (CLIP, SigLIP), or after the residual sums (BERT).
    pub norm_first: bool,
}

/// Scale and shift of a layer norm.
#[derive(Clone, Debug)]
pub struct NormWeights {
    /// `[hidden]`.
    pub weight: Vec<f32>,
    /// `[hidden]`.
    pub bias: Vec<f32>,
}

/// A linear map as PyTorch stores it.
#[derive(Clone, Debug)]
pub struct LinearWeights {
    /// `[out, in]`, row by row.
    pub weight: Vec<f32>,
    /// `[out]`.
    pub bias: Option<Vec<f32>>,
}

/// The weights of one transformer layer.
#[derive(Clone, Debug)]
pub struct LayerWeights {
    /// Norm of the attention block.
    pub norm1: NormWeights,
    /// Query, key and value one below the other, `[3 · hidden, hidden]`.
    pub qkv: LinearWeights,
    /// Projection after attention, `[hidden, hidden]`.
    pub output: LinearWeights,
    /// Norm of the feed-forward block.
    pub norm2: NormWeights,
    /// First map of the feed-forward block, `[intermediate, hidden]`.
    pub up: LinearWeights,
    /// Second map of the feed-forward block, `[hidden, intermediate]`.
    pub down: LinearWeights,
}

/// Equal transformer layers, run over sequences that lie one after another.
#[derive(Debug)]
pub struct Encoder {
    stack: Box<dyn AnyStack>,
    hidden: usize,
    cpu: Cpu,
}

/// A stack of layers packed for some tier that runs here.
trait AnyStack: Send + Sync + Debug {
    fn forward(&self, x: &mut [f32], lengths: &[usize], causal: bool, pool: &Pool);
}

// A `Cpu` only ever holds a tier that runs here, and stacks are only made for its tier.
impl<K: Kernel + Debug> AnyStack for Stack<K> {
    fn forward(&self, x: &mut [f32], lengths: &[usize], causal: bool, pool: &Pool) {
        // SAFETY: made for a tier that runs here.
        unsafe { Stack::forward(self, x, lengths, causal, pool) }
    }
}

impl Encoder {
    /// Packs layer after layer, so that only one at a time is there twice.
    ///
    /// # Errors
    /// The first error among `layers`.
    ///
    /// # Panics
    /// When a layer's weights don't have the sizes of `shape`.
    pub fn new<E>(
        shape: EncoderShape,
        layers: impl IntoIterator<Item = Result<LayerWeights, E>>,
        cpu: &Cpu,
    ) -> Result<Self, E> {
        let stack: Box<dyn AnyStack> = with_kernel!(cpu.tier(), K => {
            let layers = layers.into_iter().map(|layer| Ok(pack_layer::<K>(&shape, layer?)));
            Box::new(Stack::<K>::new(shape, layers.collect::<Result<_, E>>()?))
        });
        let (hidden, cpu) = (shape.hidden, cpu.clone());
        Ok(Self { stack, hidden, cpu })
    }

    /// Width of the residual stream.
    pub fn hidden(&self) -> usize {
        self.hidden
    }

    /// Runs all layers over `x` in place: rows of `hidden`, the tokens of sequences of `lengths` one after another.
    /// Attention stays within a sequence and, when `causal`, sees no later token.
    ///
    /// # Panics
    /// When `x` does not hold the rows that `lengths` sum to, or a length is 0.
    pub fn forward(&self, x: &mut [f32], lengths: &[usize], causal: bool) {
        assert!(!lengths.contains(&0), "lengths must not contain 0");
        self.stack.forward(x, lengths, causal, self.cpu.pool());
    }
}

fn pack_layer<K: Kernel>(shape: &EncoderShape, weights: LayerWeights) -> Layer<K> {
    let &EncoderShape {
        hidden, intermediate, ..
    } = shape;
    let norm = |norm: NormWeights| Norm::new(norm.weight, norm.bias, shape.norm_eps);
    Layer {
        norm1: norm(weights.norm1),
        qkv: pack(&weights.qkv, 3 * hidden, hidden),
        output: pack(&weights.output, hidden, hidden),
        norm2: norm(weights.norm2),
        up: pack(&weights.up, intermediate, hidden),
        down: pack(&weights.down, hidden, intermediate),
    }
}

fn pack<K: Kernel>(map: &LinearWeights, outputs: usize, inputs: usize) -> Packed<K> {
    Packed::new(&map.weight, outputs, inputs, map.bias.as_deref())
}
