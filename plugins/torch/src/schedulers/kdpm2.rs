//! DPM-Solver-2 over σ (Lu et al. 2022; Karras et al. 2022): the midpoint rule, with the midpoint in log σ.

use tch::Tensor;

use super::{
    PredictionType, Scheduler, SchedulerConfig, Step,
    config::SigmaSchedule,
    euler::scale,
    sigmas::{Levels, timestep_of},
};

/// `KDPM2DiscreteScheduler`.
pub(super) struct Kdpm2 {
    timesteps: Vec<f64>,
    levels: Levels,
    /// Between each level and the next; 0 before the last.
    middles: Vec<f64>,
    prediction: PredictionType,
    /// The sample at the beginning of a step whose second pass is to come.
    first: Option<Tensor>,
}

// === impl Kdpm2 ===

impl Kdpm2 {
    pub(super) fn new(config: &SchedulerConfig, steps: usize) -> Self {
        let mut levels = Levels::new(config, steps);
        if config.sigma_schedule == SigmaSchedule::Karras {
            levels.timesteps.iter_mut().for_each(|t| *t = t.round_ties_even());
        }
        let middles: Vec<f64> = levels
            .sigmas
            .windows(2)
            .map(|pair| (pair[0] * pair[1]).sqrt())
            .collect();
        let mut timesteps = vec![levels.timesteps[0]];
        for (middle, timestep) in middles.iter().zip(&levels.timesteps[1..]) {
            timesteps.extend([timestep_of(&levels.log_sigmas, *middle), *timestep]);
        }
        Self {
            timesteps,
            levels,
            middles,
            prediction: config.prediction_type,
            first: None,
        }
    }

    /// The level of the sample that comes in at `index`: of a step's beginning, or of its middle.
    fn level(&self, index: usize) -> f64 {
        match index % 2 {
            0 => self.levels.sigmas[index / 2],
            _ => self.middles[index / 2],
        }
    }
}

impl Scheduler for Kdpm2 {
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
        scale(sample, self.level(index))
    }

    fn add_noise(&self, index: usize, clean: &Tensor, noise: &Tensor) -> Tensor {
        // In a step's middle: of its end, which is what the reference takes.
        clean + noise * self.levels.sigmas[index.div_ceil(2)]
    }

    fn step(&mut self, index: usize, output: &Tensor, sample: &Tensor, _: Option<&Tensor>) -> Step {
        let at = index / 2;
        let (from, middle, to) = (self.levels.sigmas[at], self.middles[at], self.levels.sigmas[at + 1]);
        let level = self.level(index);
        let estimate = self.prediction.clean(output, sample, level);
        let slope = (sample - &estimate) / level;
        let sample = match self.first.take() {
            None => {
                self.first = Some(sample.shallow_clone());
                sample + slope * (middle - from)
            }
            Some(begin) => begin + slope * (to - from),
        };
        Step { sample, estimate }
    }
}
