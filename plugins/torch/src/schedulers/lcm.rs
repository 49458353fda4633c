//! Latent consistency models (Luo et al. 2023): each pass guesses the clean sample, and noise is put back for the next.

use tch::Tensor;

use super::{
    PredictionType, Scheduler, SchedulerConfig, Step, ddim::diffuse, prediction::Clip, spacing, table::Table, wanted,
};

/// Standard deviation of the data that the boundary condition assumes.
const SIGMA_DATA: f64 = 0.5;

/// `LCMScheduler`.
pub(super) struct Lcm {
    timesteps: Vec<f64>,
    table: Table,
    prediction: PredictionType,
    clip: Clip,
    scaling: f64,
}

// === impl Lcm ===

impl Lcm {
    pub(super) fn new(config: &SchedulerConfig, steps: usize) -> Self {
        let ratio = config.num_train_timesteps / config.original_steps;
        let origins: Vec<f64> = (1..=config.original_steps)
            .rev()
            .map(|at| (at * ratio) as f64 - 1.0)
            .collect();
        let picks = spacing::linspace(origins.len() as f64, steps, false);
        Self {
            timesteps: picks.into_iter().map(|at| origins[at as usize]).collect(),
            table: Table::new(config),
            prediction: config.prediction_type,
            clip: config.clip,
            scaling: config.timestep_scaling,
        }
    }
}

impl Scheduler for Lcm {
    fn timesteps(&self) -> &[f64] {
        &self.timesteps
    }

    fn wants_noise(&self, index: usize) -> bool {
        index + 1 < self.timesteps.len()
    }

    fn add_noise(&self, index: usize, clean: &Tensor, noise: &Tensor) -> Tensor {
        diffuse(clean, noise, self.table.alpha(self.timesteps[index] as i64))
    }

    fn step(&mut self, index: usize, output: &Tensor, sample: &Tensor, noise: Option<&Tensor>) -> Step {
        let timestep = self.timesteps[index];
        let (estimate, _) = self.prediction.split(output, sample, self.table.alpha(timestep as i64));
        let estimate = self.clip.apply(estimate);
        // The boundary condition: at timestep 0 the sample is its own estimate.
        let scaled = timestep * self.scaling;
        let variance = scaled * scaled + SIGMA_DATA * SIGMA_DATA;
        let estimate = estimate * (scaled / variance.sqrt()) + sample * (SIGMA_DATA * SIGMA_DATA / variance);
        let sample = match self.timesteps.get(index + 1) {
            Some(next) => diffuse(&estimate, wanted(noise), self.table.alpha(*next as i64)),
            None => estimate.shallow_clone(),
        };
        Step { sample, estimate }
    }
}
