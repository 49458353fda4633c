//! A task under way.

use tch::Tensor;

use super::{NoiseSource, prompt::Prompts};
use crate::schedulers::Scheduler;

/// A task under way: its latents and all that each step needs.
pub struct Denoising {
    /// `[images, channels, h, w]`, f32 on the UNet's device.
    pub(super) latents: Tensor,
    /// The sampler's newest estimate of the clean latents.
    pub(super) estimate: Option<Tensor>,
    pub(super) scheduler: Box<dyn Scheduler>,
    /// The sampler's pass that comes next.
    pub(super) next: usize,
    /// The pass that it began at.
    pub(super) first: usize,
    /// Denoise steps from there on.
    pub(super) steps: usize,
    pub(super) prompts: Prompts,
    pub(super) guidance: Guidance,
    /// Adapters that are active when it is its turn.
    pub(super) loras: Vec<(usize, f32)>,
    /// What is kept of the image that it began with.
    pub(super) keep: Option<Keep>,
    /// What inpainting UNets see beside the latents: mask and masked image, `[images, channels + 1, h, w]`.
    pub(super) seen: Option<Tensor>,
    /// SDXL: sizes and crop, `[1, 6]`.
    pub(super) sizes: Option<Tensor>,
    pub(super) noise: Box<dyn NoiseSource>,
}

/// How a task is guided.
pub(super) enum Guidance {
    /// Not at all.
    None,
    /// By a second row with the negative prompt (Ho & Salimans 2022).
    Pair(f64),
    /// By an embedding of the scale, `[1, width]` (Meng et al. 2023; Luo et al. 2023).
    Embedded(Tensor),
}

/// The part of an image that is not painted anew.
pub(super) struct Keep {
    /// `[1, 1, h, w]`: 1 is painted anew.
    pub(super) mask: Tensor,
    /// The image's latents, `[images, channels, h, w]`.
    pub(super) clean: Tensor,
    /// The noise that the task began with.
    pub(super) noise: Tensor,
}

// === impl Denoising ===

impl Denoising {
    /// How many images it makes.
    pub fn images(&self) -> usize {
        self.latents.size()[0] as usize
    }

    /// Tokens of both prompts, and whether one was cut.
    pub fn prompt_tokens(&self) -> (usize, bool) {
        let (positive, negative) = (&self.prompts.positive, self.prompts.negative.as_ref());
        (
            positive.tokens + negative.map_or(0, |negative| negative.tokens),
            positive.truncated || negative.is_some_and(|negative| negative.truncated),
        )
    }

    /// Denoise steps that are done, and in all. A step may take two passes, of which the first counts for nothing yet, and
    /// a sampler may need some passes before its first step.
    pub fn steps(&self) -> (usize, usize) {
        if self.is_done() {
            return (self.steps, self.steps);
        }
        let order = self.scheduler.order();
        let passes = self.scheduler.timesteps().len() - self.first;
        let warm_up = passes.saturating_sub(self.steps * order);
        let done = (self.next - self.first).saturating_sub(warm_up) / order;
        (done.min(self.steps), self.steps)
    }

    /// No pass is left.
    pub fn is_done(&self) -> bool {
        self.next >= self.scheduler.timesteps().len()
    }

    /// The latents of one image, `[1, channels, h, w]`.
    pub fn latents(&self, image: usize) -> Tensor {
        self.latents.narrow(0, image as i64, 1)
    }

    /// The newest estimate of one image's clean latents; before the first step, the latents.
    pub fn estimate(&self, image: usize) -> Tensor {
        self.estimate
            .as_ref()
            .unwrap_or(&self.latents)
            .narrow(0, image as i64, 1)
    }

    /// True if both can be in one pass of the UNet: images of one size, under the same adapters.
    pub fn goes_with(&self, other: &Self) -> bool {
        self.latents.size()[1..] == other.latents.size()[1..] && self.loras == other.loras
    }
}
