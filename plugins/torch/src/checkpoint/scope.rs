//! A place in a checkpoint's names: layers ask it for their tensors by the names that they have within it.

use sensorium_kernels::Cpu;
use tch::Tensor;

use super::{Target, Weights};
use crate::{
    error::LoadError,
    lora::{ActiveLoras, Loras, RawAdapter},
};

/// A prefix of tensor names, with the adapters whose layers have names of the same kind.
#[derive(Clone)]
pub(crate) struct Scope<'a> {
    weights: &'a Weights<'a>,
    loras: &'a Loras,
    /// Which component it is, as LoRA files call it: `unet`, `text_encoder`, `text_encoder_2`.
    component: &'static str,
    prefix: String,
    /// The layer's name as LoRA files have it, which may have a part that the weights lack.
    layer: String,
}

// === impl Scope ===

impl<'a> Scope<'a> {
    /// The whole of a component's weights.
    pub(crate) fn new(weights: &'a Weights<'a>, loras: &'a Loras, component: &'static str) -> Self {
        Self {
            weights,
            loras,
            component,
            prefix: String::new(),
            layer: String::new(),
        }
    }

    /// The scope `name` within this one.
    pub(crate) fn sub(&self, name: impl std::fmt::Display) -> Self {
        Self {
            prefix: join(&self.prefix, &name),
            layer: join(&self.layer, &name),
            ..self.clone()
        }
    }

    /// This scope again, for weights whose names lack the part `name` that LoRA files have.
    pub(crate) fn named(&self, name: &str) -> Self {
        Self {
            layer: join(&self.layer, &name),
            ..self.clone()
        }
    }

    /// A tensor of this shape.
    ///
    /// # Errors
    /// As [`Weights::tensor`].
    pub(crate) fn tensor(&self, name: &str, shape: &[i64]) -> Result<Tensor, LoadError> {
        self.weights.tensor(&self.name(name), shape)
    }

    /// True if there is a tensor of that name here.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.weights.has(&self.name(name))
    }

    /// Where the tensors are put.
    pub(crate) fn target(&self) -> Target {
        self.weights.target()
    }

    /// What computes linear maps and attention instead of libtorch.
    pub(crate) fn kernels(&self) -> Option<&Cpu> {
        self.weights.kernels()
    }

    /// Adapters of LoRA files that change this layer; they are taken once.
    ///
    /// # Errors
    /// If one can't be read.
    pub(crate) fn take_loras(&self) -> Result<Vec<RawAdapter>, LoadError> {
        self.loras
            .take(&|name, bytes| self.weights.mark(name, bytes), self.layer())
    }

    /// Which LoRAs count.
    pub(crate) fn active_loras(&self) -> ActiveLoras {
        self.loras.active()
    }

    /// The component and the layer's name within it.
    pub(crate) fn layer(&self) -> (&'static str, &str) {
        (self.component, &self.layer)
    }

    fn name(&self, name: &str) -> String {
        join(&self.prefix, &name)
    }
}

fn join(prefix: &str, name: &dyn std::fmt::Display) -> String {
    match prefix.is_empty() {
        true => name.to_string(),
        false => format!("{prefix}.{name}"),
    }
}
