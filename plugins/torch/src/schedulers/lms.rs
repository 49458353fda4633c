//! Linear multistep over σ: Adams-Bashforth for steps of any length.

use std::collections::VecDeque;

use tch::Tensor;

use super::{PredictionType, Scheduler, SchedulerConfig, Step, euler::scale, sigmas::Levels};

/// Slopes that a step looks back at.
const ORDER: usize = 4;
/// Nodes and weights of Gauss-Legendre's rule, exact for the cubics that are integrated here.
const GAUSS: [(f64, f64); 2] = [(-0.577_350_269_189_625_8, 1.0), (0.577_350_269_189_625_8, 1.0)];

/// `LMSDiscreteScheduler`.
pub(super) struct Lms {
    levels: Levels,
    prediction: PredictionType,
    /// Slopes, newest first.
    slopes: VecDeque<Tensor>,
}

// === impl Lms ===

impl Lms {
    pub(super) fn new(config: &SchedulerConfig, steps: usize) -> Self {
        Self {
            levels: Levels::new(config, steps),
            prediction: config.prediction_type,
            slopes: VecDeque::new(),
        }
    }

    /// How much the slope of `back` steps ago counts in the step at `index`: the integral of its Lagrange polynomial.
    fn weight(&self, order: usize, index: usize, back: usize) -> f64 {
        let sigmas = &self.levels.sigmas;
        let basis = |at: f64| -> f64 {
            let others = (0..order).filter(|other| *other != back);
            others
                .map(|other| (at - sigmas[index - other]) / (sigmas[index - back] - sigmas[index - other]))
                .product()
        };
        let (middle, half) = (
            (sigmas[index] + sigmas[index + 1]) / 2.0,
            (sigmas[index + 1] - sigmas[index]) / 2.0,
        );
        GAUSS
            .iter()
            .map(|(node, weight)| weight * basis(middle + half * node))
            .sum::<f64>()
            * half
    }
}

impl Scheduler for Lms {
    fn timesteps(&self) -> &[f64] {
        &self.levels.timesteps
    }

    fn initial_sigma(&self) -> f64 {
        self.levels.initial()
    }

    fn scale_input(&self, index: usize, sample: &Tensor) -> Tensor {
        scale(sample, self.levels.sigmas[index])
    }

    fn add_noise(&self, index: usize, clean: &Tensor, noise: &Tensor) -> Tensor {
        clean + noise * self.levels.sigmas[index]
    }

    fn step(&mut self, index: usize, output: &Tensor, sample: &Tensor, _: Option<&Tensor>) -> Step {
        let sigma = self.levels.sigmas[index];
        let estimate = self.prediction.clean(output, sample, sigma);
        self.slopes.push_front((sample - &estimate) / sigma);
        self.slopes.truncate(ORDER);
        // Whoever begins in the middle has fewer slopes than the order says: diffusers leaves the others out.
        let order = ORDER.min(index + 1);
        let mut change = sample.zeros_like();
        for (back, slope) in self.slopes.iter().enumerate().take(order) {
            change += slope * self.weight(order, index, back);
        }
        Step {
            sample: sample + change,
            estimate,
        }
    }
}
