//! Denoising diffusion probabilistic models (Ho et al. 2020), over any number of steps.

use tch::Tensor;

use super::{
    PredictionType, Scheduler, SchedulerConfig, Step, ddim::diffuse, prediction::Clip, spacing, table::Table, wanted,
};

/// `DDPMScheduler`.
pub(super) struct Ddpm {
    timesteps: Vec<f64>,
    table: Table,
    prediction: PredictionType,
    clip: Clip,
    /// The variance is β's, not the posterior's.
    large_variance: bool,
}

// === impl Ddpm ===

impl Ddpm {
    pub(super) fn new(config: &SchedulerConfig, steps: usize) -> Self {
        let config = SchedulerConfig {
            set_alpha_to_one: true,
            ..config.clone()
        };
        Self {
            timesteps: spacing::whole(&config, steps),
            table: Table::new(&config),
            prediction: config.prediction_type,
            clip: config.clip,
            large_variance: config.large_variance,
        }
    }
}

impl Scheduler for Ddpm {
    fn timesteps(&self) -> &[f64] {
        &self.timesteps
    }

    fn wants_noise(&self, index: usize) -> bool {
        self.timesteps[index] > 0.0
    }

    fn add_noise(&self, index: usize, clean: &Tensor, noise: &Tensor) -> Tensor {
        diffuse(clean, noise, self.table.alpha(self.timesteps[index] as i64))
    }

    fn step(&mut self, index: usize, output: &Tensor, sample: &Tensor, noise: Option<&Tensor>) -> Step {
        let timestep = self.timesteps[index];
        let next = self.timesteps.get(index + 1).map_or(-1, |next| *next as i64);
        let (alpha, before) = (self.table.alpha(timestep as i64), self.table.alpha(next));
        let beta = 1.0 - alpha / before;
        let (estimate, _) = self.prediction.split(output, sample, alpha);
        let estimate = self.clip.apply(estimate);
        // The posterior's mean, formula 7.
        let of_estimate = before.sqrt() * beta / (1.0 - alpha);
        let of_sample = (alpha / before).sqrt() * (1.0 - before) / (1.0 - alpha);
        let mut sample = &estimate * of_estimate + sample * of_sample;
        if timestep > 0.0 {
            let posterior = ((1.0 - before) / (1.0 - alpha) * beta).max(1e-20);
            let variance = if self.large_variance { beta } else { posterior };
            sample += wanted(noise) * variance.sqrt();
        }
        Step { sample, estimate }
    }
}
