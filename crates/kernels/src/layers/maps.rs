//! A linear map and a layer norm over rows.

use std::fmt::Debug;

use crate::{
    cpu::Cpu,
    norm::Norm,
    packed::Packed,
    pool::Pool,
    simd::Kernel,
    standalone::{layer_norm, linear},
    tier::with_kernel,
};

use super::{LinearWeights, NormWeights};

/// A linear map, `x · Wᵀ + b`.
#[derive(Debug)]
pub struct Linear {
    map: Box<dyn AnyLinear>,
    inputs: usize,
    outputs: usize,
    cpu: Cpu,
}

/// Layer normalisation.
#[derive(Debug)]
pub struct LayerNorm {
    norm: Norm,
    cpu: Cpu,
}

/// A linear map packed for some tier that runs here.
trait AnyLinear: Send + Sync + Debug {
    fn forward(&self, x: &[f32], out: &mut [f32], pool: &Pool);
}

// A `Cpu` only ever holds a tier that runs here, and maps are only packed for its tier.
impl<K: Kernel + Debug> AnyLinear for Packed<K> {
    fn forward(&self, x: &[f32], out: &mut [f32], pool: &Pool) {
        // SAFETY: made for a tier that runs here.
        unsafe { linear(self, x, out, pool) }
    }
}

impl Linear {
    /// Packs `weights`, `[outputs, inputs]`.
    ///
    /// # Panics
    /// When the weights don't have these sizes.
    pub fn new(weights: &LinearWeights, outputs: usize, inputs: usize, cpu: &Cpu) -> Self {
        let bias = weights.bias.as_deref();
        let map: Box<dyn AnyLinear> =
            with_kernel!(cpu.tier(), K => Box::new(Packed::<K>::new(&weights.weight, outputs, inputs, bias)));
        Self {
            map,
            inputs,
            outputs,
            cpu: cpu.clone(),
        }
    }

    /// Values that go in.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Values that come out of a row.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Maps rows of `inputs` to rows of `outputs`.
    ///
    /// # Panics
    /// When `x` is not whole rows.
    pub fn forward(&self, x: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; x.len() / self.inputs.max(1) * self.outputs];
        self.forward_into(x, &mut out);
        out
    }

    /// As [`Linear::forward`], into memory that is there.
    ///
    /// # Panics
    /// When `x` is not whole rows, or `out` not as many.
    pub fn forward_into(&self, x: &[f32], out: &mut [f32]) {
        self.map.forward(x, out, self.cpu.pool());
    }
}

impl LayerNorm {
    /// The norm of rows as wide as `weights`; `eps` is added to the variance.
    ///
    /// # Panics
    /// When weight and bias differ in length.
    pub fn new(weights: NormWeights, eps: f32, cpu: &Cpu) -> Self {
        Self {
            norm: Norm::new(weights.weight, weights.bias, eps),
            cpu: cpu.clone(),
        }
    }

    /// Values of a row.
    pub fn width(&self) -> usize {
        self.norm.width()
    }

    /// Normalises the rows of `x` in place.
    ///
    /// # Panics
    /// When `x` is not whole rows.
    pub fn forward(&self, x: &mut [f32]) {
        // SAFETY: a `Cpu` only ever holds a tier that runs here.
        with_kernel!(self.cpu.tier(), K => unsafe { layer_norm::<K>(&self.norm, x, self.cpu.pool()) });
    }
}
