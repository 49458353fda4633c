//! What a pipeline is asked to make.

use tch::Tensor;

use crate::{
    noise::{self, Stream},
    schedulers::SchedulerKind,
};

/// One or more images that differ in their noise alone.
#[derive(Debug)]
pub struct ImageTask {
    /// What is to be seen.
    pub prompt: String,
    /// What is not.
    pub negative_prompt: Option<String>,
    /// Height in pixels.
    pub height: i64,
    /// Width in pixels.
    pub width: i64,
    /// Denoise steps.
    pub steps: usize,
    /// Weight of classifier-free guidance; 1 and less: none.
    pub guidance_scale: f64,
    /// Which sampler.
    pub scheduler: SchedulerKind,
    /// The image that is begun with.
    pub init: Option<InitTask>,
    /// Adapters by their place in [`super::Pipeline::loras`], with their weights.
    pub loras: Vec<(usize, f32)>,
    /// Cut prompts that are too long; else refuse them.
    pub truncate: bool,
}

/// An image to begin with.
#[derive(Debug)]
pub struct InitTask {
    /// `[1, 3, h, w]` of -1 to 1, f32 on the CPU.
    pub pixels: Tensor,
    /// `[1, 1, h, w]` of 0 (kept) and 1 (painted anew); `None`: all of it.
    pub mask: Option<Tensor>,
    /// Share of the steps that are done, over 0 to 1.
    pub strength: f64,
}

/// Where the noise of a task's images comes from.
pub trait NoiseSource: Send {
    /// How many images there are.
    fn images(&self) -> usize;

    /// Standard normal numbers, `[images, ..shape]` of f32 on the CPU.
    fn draw(&self, stream: Stream, shape: &[i64]) -> Tensor;
}

/// Noise by one seed for each image.
#[derive(Debug, Clone)]
pub struct Seeds(pub Vec<u64>);

/// Why a task can't be done, and it is the caller's fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What of the request it is about, as the contract calls it.
    pub field: &'static str,
    /// What is wrong with it.
    pub message: String,
    /// The prompt is longer than the context.
    pub too_long: bool,
}

// === impl Seeds ===

impl NoiseSource for Seeds {
    fn images(&self) -> usize {
        self.0.len()
    }

    fn draw(&self, stream: Stream, shape: &[i64]) -> Tensor {
        let each: Vec<Tensor> = self.0.iter().map(|seed| noise::normal(*seed, stream, shape)).collect();
        Tensor::cat(&each, 0)
    }
}

// === impl Refusal ===

impl Refusal {
    /// `message` names the field.
    pub(super) fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self {
            field,
            message: message.into(),
            too_long: false,
        }
    }
}
