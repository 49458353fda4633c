//! Pseudo numerical methods (Liu et al. 2022): Runge-Kutta to begin with, unless that is skipped, then linear multistep.

use std::collections::VecDeque;

use tch::Tensor;

use super::{PredictionType, Scheduler, SchedulerConfig, Step, ddim::diffuse, spacing, table::Table};

/// Predictions that the multistep method looks back at.
const HISTORY: usize = 4;

/// `PNDMScheduler`.
pub(super) struct Pndm {
    timesteps: Vec<f64>,
    /// How many of the timesteps are Runge-Kutta's.
    warm_up: usize,
    table: Table,
    ratio: i64,
    prediction: PredictionType,
    /// Calls of `step` so far.
    calls: usize,
    /// Predictions, newest last.
    history: VecDeque<Tensor>,
    /// Where a step of several calls began.
    begin: Option<Tensor>,
    /// Runge-Kutta's weighted sum so far.
    sum: Option<Tensor>,
}

// === impl Pndm ===

impl Pndm {
    pub(super) fn new(config: &SchedulerConfig, steps: usize) -> Self {
        let ratio = (config.num_train_timesteps / steps) as i64;
        // Ascending, as the method's description has them.
        let plain: Vec<f64> = spacing::whole(config, steps).into_iter().rev().collect();
        let (warm_up, multistep) = match config.skip_prk_steps {
            true => (Vec::new(), repeat_last_but_one(&plain)),
            false => (runge_kutta(&plain, ratio), plain[..steps - 3].to_vec()),
        };
        let mut timesteps = warm_up.clone();
        timesteps.extend(multistep.into_iter().rev());
        Self {
            warm_up: warm_up.len(),
            timesteps,
            table: Table::new(config),
            ratio,
            prediction: config.prediction_type,
            calls: 0,
            history: VecDeque::new(),
            begin: None,
            sum: None,
        }
    }

    /// One of the four calls of a Runge-Kutta step.
    fn runge_kutta_step(&mut self, index: usize, output: &Tensor, sample: &Tensor) -> Tensor {
        let phase = self.calls % 4;
        let back = if self.calls % 2 == 1 { 0 } else { self.ratio / 2 };
        let to = self.timesteps[index] as i64 - back;
        let from = self.timesteps[self.calls / 4 * 4] as i64;
        let weight = if matches!(phase, 0 | 3) { 1.0 / 6.0 } else { 1.0 / 3.0 };
        let sum = match self.sum.take() {
            Some(sum) => sum + output * weight,
            None => output * weight,
        };
        if phase == 0 {
            self.history.push_back(output.shallow_clone());
            self.begin = Some(sample.shallow_clone());
        }
        let begin = self.begin.as_ref().unwrap_or(sample).shallow_clone();
        if phase == 3 {
            return self.transfer(&begin, from, to, &sum);
        }
        self.sum = Some(sum);
        self.transfer(&begin, from, to, output)
    }

    /// One call of the linear multistep method; its first step takes two.
    fn multistep(&mut self, index: usize, output: &Tensor, sample: &Tensor) -> Tensor {
        let mut from = self.timesteps[index] as i64;
        let mut to = from - self.ratio;
        if self.calls == 1 {
            (from, to) = (from + self.ratio, from);
        } else {
            while self.history.len() >= HISTORY {
                self.history.pop_front();
            }
            self.history.push_back(output.shallow_clone());
        }
        let back = |steps: usize| &self.history[self.history.len() - steps];
        let mut start = sample.shallow_clone();
        let mixed = match self.history.len() {
            1 if self.calls == 0 => output.shallow_clone(),
            1 => (output + back(1)) / 2.0,
            2 => (back(1) * 3.0 - back(2)) / 2.0,
            3 => (back(1) * 23.0 - back(2) * 16.0 + back(3) * 5.0) / 12.0,
            _ => (back(1) * 55.0 - back(2) * 59.0 + back(3) * 37.0 - back(4) * 9.0) / 24.0,
        };
        match self.calls {
            0 => self.begin = Some(sample.shallow_clone()),
            1 => start = self.begin.take().unwrap_or(start),
            _ => {}
        }
        self.transfer(&start, from, to, &mixed)
    }

    /// Formula 9: from one timestep to another along a prediction.
    fn transfer(&self, sample: &Tensor, from: i64, to: i64, output: &Tensor) -> Tensor {
        let (alpha, before) = (self.table.alpha(from), self.table.alpha(to));
        let noise = match self.prediction {
            PredictionType::Velocity => output * alpha.sqrt() + sample * (1.0 - alpha).sqrt(),
            PredictionType::Epsilon | PredictionType::Sample => output.shallow_clone(),
        };
        let divisor = alpha * (1.0 - before).sqrt() + (alpha * (1.0 - alpha) * before).sqrt();
        sample * (before / alpha).sqrt() - noise * ((before - alpha) / divisor)
    }
}

impl Scheduler for Pndm {
    fn timesteps(&self) -> &[f64] {
        &self.timesteps
    }

    fn add_noise(&self, index: usize, clean: &Tensor, noise: &Tensor) -> Tensor {
        diffuse(clean, noise, self.table.alpha(self.timesteps[index] as i64))
    }

    fn step(&mut self, index: usize, output: &Tensor, sample: &Tensor, _: Option<&Tensor>) -> Step {
        let alpha = self.table.alpha(self.timesteps[index] as i64);
        let (estimate, _) = self.prediction.split(output, sample, alpha);
        // Calls are counted, not timesteps: whoever begins in the middle has a warm-up too.
        let sample = match self.calls < self.warm_up {
            true => self.runge_kutta_step(index, output, sample),
            false => self.multistep(index, output, sample),
        };
        self.calls += 1;
        Step { sample, estimate }
    }
}

/// The last step but one, in descending order the second, is done twice.
fn repeat_last_but_one(ascending: &[f64]) -> Vec<f64> {
    let end = ascending.len();
    let mut all = ascending[..end - 1].to_vec();
    all.push(ascending[end - 2]);
    all.push(ascending[end - 1]);
    all
}

/// Four calls for each of the noisiest steps but the last of them: here, twice half a step further, a whole step further.
fn runge_kutta(ascending: &[f64], ratio: i64) -> Vec<f64> {
    let noisiest = &ascending[ascending.len() - 4..];
    let halves: Vec<f64> = noisiest.iter().flat_map(|t| [*t, t + (ratio / 2) as f64]).collect();
    let doubled: Vec<f64> = halves[..halves.len() - 1].iter().flat_map(|t| [*t, *t]).collect();
    doubled[1..doubled.len() - 1].iter().rev().copied().collect()
}
