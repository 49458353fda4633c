//! Heun's method over σ (Karras et al. 2022, algorithm 2): two passes a step, but for the last.

use tch::Tensor;

use super::{PredictionType, Scheduler, SchedulerConfig, Step, euler::scale, prediction::Clip, sigmas::Levels};

/// `HeunDiscreteScheduler`.
pub(super) struct Heun {
    timesteps: Vec<f64>,
    levels: Levels,
    prediction: PredictionType,
    clip: Clip,
    /// Sample and slope at the beginning of a step whose second pass is to come.
    first: Option<(Tensor, Tensor)>,
}

// === impl Heun ===

impl Heun {
    pub(super) fn new(config: &SchedulerConfig, steps: usize) -> Self {
        let levels = Levels::new(config, steps);
        Self {
            timesteps: twice_but_the_first(&levels.timesteps),
            levels,
            prediction: config.prediction_type,
            clip: config.clip,
            first: None,
        }
    }
}

impl Scheduler for Heun {
    fn timesteps(&self) -> &[f64] {
        &self.timesteps
    }

    fn order(&self) -> usize {
        2
    }

    fn initial_sigma(&self) -> f64 {
        self.levels.initial()
    }

    fn scale_input(&self, index: usize, sample: &Tensor) -> Tensor {
        scale(sample, self.levels.sigmas[index.div_ceil(2)])
    }

    fn add_noise(&self, index: usize, clean: &Tensor, noise: &Tensor) -> Tensor {
        clean + noise * self.levels.sigmas[index.div_ceil(2)]
    }

    fn step(&mut self, index: usize, output: &Tensor, sample: &Tensor, _: Option<&Tensor>) -> Step {
        let sigmas = &self.levels.sigmas;
        let (from, to) = (sigmas[index / 2], sigmas[index / 2 + 1]);
        match self.first.take() {
            None => {
                let estimate = self.clip.apply(self.prediction.clean(output, sample, from));
                let slope = (sample - &estimate) / from;
                let next = sample + &slope * (to - from);
                self.first = Some((sample.shallow_clone(), slope));
                Step { sample: next, estimate }
            }
            Some((begin, slope)) => {
                let estimate = self.clip.apply(self.prediction.clean(output, sample, to));
                let mean = (slope + (sample - &estimate) / to) / 2.0;
                Step {
                    sample: begin + mean * (to - from),
                    estimate,
                }
            }
        }
    }
}

/// t₀ t₁ t₁ t₂ t₂ …
fn twice_but_the_first(timesteps: &[f64]) -> Vec<f64> {
    let rest = timesteps[1..].iter().flat_map(|timestep| [*timestep, *timestep]);
    timesteps[..1].iter().copied().chain(rest).collect()
}
