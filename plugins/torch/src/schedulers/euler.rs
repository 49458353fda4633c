//! Euler's method over σ (Karras et al. 2022), without and with noise added at each step.

use tch::Tensor;

use super::{PredictionType, Scheduler, SchedulerConfig, SchedulerKind, Step, sigmas::Levels, wanted};

/// `EulerDiscreteScheduler` and `EulerAncestralDiscreteScheduler`.
pub(super) struct Euler {
    levels: Levels,
    prediction: PredictionType,
    ancestral: bool,
}

// === impl Euler ===

impl Euler {
    pub(super) fn new(config: &SchedulerConfig, steps: usize) -> Self {
        let mut levels = Levels::new(config, steps);
        if config.continuous_timesteps && config.prediction_type == PredictionType::Velocity {
            levels.timesteps = levels.sigmas[..steps].iter().map(|sigma| 0.25 * sigma.ln()).collect();
        }
        Self {
            levels,
            prediction: config.prediction_type,
            ancestral: config.kind == SchedulerKind::EulerAncestral,
        }
    }
}

impl Scheduler for Euler {
    fn timesteps(&self) -> &[f64] {
        &self.levels.timesteps
    }

    fn initial_sigma(&self) -> f64 {
        self.levels.initial()
    }

    fn scale_input(&self, index: usize, sample: &Tensor) -> Tensor {
        scale(sample, self.levels.sigmas[index])
    }

    fn wants_noise(&self, _: usize) -> bool {
        self.ancestral
    }

    fn add_noise(&self, index: usize, clean: &Tensor, noise: &Tensor) -> Tensor {
        clean + noise * self.levels.sigmas[index]
    }

    fn step(&mut self, index: usize, output: &Tensor, sample: &Tensor, noise: Option<&Tensor>) -> Step {
        let (from, to) = (self.levels.sigmas[index], self.levels.sigmas[index + 1]);
        let estimate = self.prediction.clean(output, sample, from);
        let slope = (sample - &estimate) / from;
        // Ancestral: further down than the next level, and up to it again with noise.
        let up = match self.ancestral {
            true => (to * to * (from * from - to * to) / (from * from)).sqrt(),
            false => 0.0,
        };
        let down = (to * to - up * up).sqrt();
        let mut sample = sample + slope * (down - from);
        if self.ancestral {
            sample += wanted(noise) * up;
        }
        Step { sample, estimate }
    }
}

/// A sample as the model was trained to see it: of variance 1.
pub(super) fn scale(sample: &Tensor, sigma: f64) -> Tensor {
    sample / (sigma * sigma + 1.0).sqrt()
}
