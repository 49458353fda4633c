//! DPM-Solver and DPM-Solver++ (Lu et al. 2022), first and second order, multistep, without and with noise.

use tch::Tensor;

use super::{
    PredictionType, Scheduler, SchedulerConfig, Step,
    config::{BetaSchedule, DpmVariant, Spacing},
    prediction::Clip,
    sigmas::{Levels, Round},
    spacing, wanted,
};

/// So many steps need no lower order at the end.
const MANY_STEPS: usize = 15;

/// `DPMSolverMultistepScheduler`.
pub(super) struct DpmSolver {
    levels: Levels,
    prediction: PredictionType,
    clip: Clip,
    variant: DpmVariant,
    final_zero: bool,
    /// The converted prediction of the step before.
    before: Option<Tensor>,
}

/// A noise level as the method's formulas have it: √ᾱ, √(1-ᾱ), and λ, the logarithm of their ratio.
#[derive(Debug, Clone, Copy)]
struct Level {
    alpha: f64,
    sigma: f64,
    lambda: f64,
}

// === impl DpmSolver ===

impl DpmSolver {
    pub(super) fn new(config: &SchedulerConfig, steps: usize) -> Self {
        let round = match config.beta_schedule {
            BetaSchedule::SquaredCosine => Round::Whole,
            _ => Round::Karras,
        };
        Self {
            levels: Levels::at(config, timesteps(config, steps), round),
            prediction: config.prediction_type,
            clip: config.clip,
            variant: config.dpm,
            final_zero: !config.final_sigma_min,
            before: None,
        }
    }

    fn level(&self, index: usize) -> Level {
        Level::new(self.levels.sigmas[index])
    }

    /// What the method integrates, and the estimate of the clean sample.
    fn convert(&self, output: &Tensor, sample: &Tensor, level: Level) -> (Tensor, Tensor) {
        let (estimate, noise) = self.prediction.split(output, sample, level.alpha * level.alpha);
        let estimate = self.clip.apply(estimate);
        match (self.variant.plus_plus, self.clip) {
            (true, _) => (estimate.shallow_clone(), estimate),
            (false, Clip::None) => (noise, estimate),
            (false, _) => ((sample - &estimate * level.alpha) / level.sigma, estimate),
        }
    }

    /// True if the step at `index` is to be of first order although there is one before it.
    fn lowers(&self, index: usize) -> bool {
        let steps = self.levels.timesteps.len();
        let few = self.variant.lower_order_final && steps < MANY_STEPS;
        index + 1 == steps && (self.variant.euler_at_final || few || self.final_zero)
    }

    /// From one level to the next along `now`, and `change`, its difference from the step before per step of this length.
    fn update(&self, sample: &Tensor, (from, to): (Level, Level), now: &Tensor, change: Option<Tensor>) -> Tensor {
        let h = to.lambda - from.lambda;
        let double = if self.variant.stochastic { 2.0 } else { 1.0 };
        // ∫ of the exponential over the step, with the sign that makes `now` come in with a minus.
        let (decay, weight, second) = match self.variant.plus_plus {
            true => {
                let shrink = if self.variant.stochastic { (-h).exp() } else { 1.0 };
                let grown = (-double * h).exp_m1();
                let heun = -to.alpha * (grown / (double * h) + 1.0);
                (to.sigma / from.sigma * shrink, to.alpha * grown, heun)
            }
            false => {
                let grown = h.exp_m1();
                (
                    to.alpha / from.alpha,
                    double * to.sigma * grown,
                    double * to.sigma * (grown / h - 1.0),
                )
            }
        };
        let second = if self.variant.heun { second } else { 0.5 * weight };
        let mut next = sample * decay - now * weight;
        if let Some(change) = change {
            next -= change * second;
        }
        next
    }

    /// Standard deviation of the noise that a step adds.
    fn spread(&self, from: Level, to: Level) -> f64 {
        let h = to.lambda - from.lambda;
        match (self.variant.stochastic, self.variant.plus_plus) {
            (false, _) => 0.0,
            (true, true) => to.sigma * (-(-2.0 * h).exp_m1()).sqrt(),
            (true, false) => to.sigma * (2.0 * h).exp_m1().sqrt(),
        }
    }
}

impl Scheduler for DpmSolver {
    fn timesteps(&self) -> &[f64] {
        &self.levels.timesteps
    }

    fn wants_noise(&self, _: usize) -> bool {
        self.variant.stochastic
    }

    fn add_noise(&self, index: usize, clean: &Tensor, noise: &Tensor) -> Tensor {
        let level = self.level(index);
        clean * level.alpha + noise * level.sigma
    }

    fn step(&mut self, index: usize, output: &Tensor, sample: &Tensor, noise: Option<&Tensor>) -> Step {
        let (from, to) = (self.level(index), self.level(index + 1));
        let (now, estimate) = self.convert(output, sample, from);
        let first_order = self.variant.order == 1 || self.lowers(index);
        let change = match &self.before {
            Some(before) if !first_order => {
                let ratio = (from.lambda - self.level(index - 1).lambda) / (to.lambda - from.lambda);
                Some((&now - before) / ratio)
            }
            _ => None,
        };
        let mut sample = self.update(sample, (from, to), &now, change);
        let spread = self.spread(from, to);
        if spread > 0.0 {
            sample += wanted(noise) * spread;
        }
        self.before = Some(now);
        Step { sample, estimate }
    }
}

// === impl Level ===

impl Level {
    fn new(sigma: f64) -> Self {
        let alpha = 1.0 / (sigma * sigma + 1.0).sqrt();
        let scaled = sigma * alpha;
        Self {
            alpha,
            sigma: scaled,
            lambda: alpha.ln() - scaled.ln(),
        }
    }
}

/// One more than asked for, of which the cleanest is left out: the step that leads there is the last.
fn timesteps(config: &SchedulerConfig, steps: usize) -> Vec<f64> {
    let training = config.num_train_timesteps;
    match config.timestep_spacing {
        Spacing::Linspace => {
            let all = spacing::linspace(training as f64 - 1.0, steps + 1, true);
            all[1..].iter().rev().map(|t| t.round_ties_even()).collect()
        }
        Spacing::Leading => {
            let ratio = training / (steps + 1);
            (1..=steps)
                .rev()
                .map(|at| (at * ratio + config.steps_offset) as f64)
                .collect()
        }
        Spacing::Trailing => spacing::trailing(training as f64, training as f64, steps),
    }
}
