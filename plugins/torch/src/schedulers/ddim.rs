//! Denoising diffusion implicit models (Song et al. 2020), with η = 0.

use tch::Tensor;

use super::{PredictionType, Scheduler, SchedulerConfig, Step, prediction::Clip, spacing, table::Table};

/// `DDIMScheduler`.
pub(super) struct Ddim {
    timesteps: Vec<f64>,
    table: Table,
    /// Training timesteps between two steps.
    ratio: i64,
    prediction: PredictionType,
    clip: Clip,
}

// === impl Ddim ===

impl Ddim {
    pub(super) fn new(config: &SchedulerConfig, steps: usize) -> Self {
        Self {
            timesteps: spacing::whole(config, steps),
            table: Table::new(config),
            ratio: (config.num_train_timesteps / steps) as i64,
            prediction: config.prediction_type,
            clip: config.clip,
        }
    }
}

impl Scheduler for Ddim {
    fn timesteps(&self) -> &[f64] {
        &self.timesteps
    }

    fn add_noise(&self, index: usize, clean: &Tensor, noise: &Tensor) -> Tensor {
        diffuse(clean, noise, self.table.alpha(self.timesteps[index] as i64))
    }

    fn step(&mut self, index: usize, output: &Tensor, sample: &Tensor, _: Option<&Tensor>) -> Step {
        let timestep = self.timesteps[index] as i64;
        let (alpha, before) = (self.table.alpha(timestep), self.table.alpha(timestep - self.ratio));
        let (estimate, noise) = self.prediction.split(output, sample, alpha);
        let estimate = self.clip.apply(estimate);
        Step {
            sample: diffuse(&estimate, &noise, before),
            estimate,
        }
    }
}

/// √ᾱ · clean + √(1-ᾱ) · noise.
pub(super) fn diffuse(clean: &Tensor, noise: &Tensor, alpha: f64) -> Tensor {
    clean * alpha.sqrt() + noise * (1.0 - alpha).sqrt()
}
