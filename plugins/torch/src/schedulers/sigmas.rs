//! Noise levels as σ, for samplers that integrate d x / d σ (Karras et al. 2022).

use super::{
    config::{SchedulerConfig, SigmaSchedule, Spacing},
    spacing,
    table::Table,
};

/// Curvature of Karras's schedule.
const RHO: f64 = 7.0;

/// Timesteps and their noise levels, noisiest first; a last level follows them.
#[derive(Debug, Clone)]
pub(super) struct Levels {
    /// One for each step.
    pub(super) timesteps: Vec<f64>,
    /// One more than there are timesteps.
    pub(super) sigmas: Vec<f64>,
    /// Logarithms of the training timesteps' σ.
    pub(super) log_sigmas: Vec<f64>,
    leading: bool,
}

// === impl Levels ===

impl Levels {
    /// Levels for `steps` steps whose timesteps may lie between two of training's; the last is 0.
    pub(super) fn new(config: &SchedulerConfig, steps: usize) -> Self {
        let mut timesteps = spacing::fractional(config, steps);
        // The reference holds them in f32, of which linspace's need the rounding.
        for timestep in &mut timesteps {
            *timestep = f64::from(*timestep as f32);
        }
        Self::at(config, timesteps, Round::No)
    }

    /// Levels at these timesteps, or at as many of the configuration's own schedule of σ.
    pub(super) fn at(config: &SchedulerConfig, mut timesteps: Vec<f64>, round: Round) -> Self {
        let training = Table::without_zero(config).sigmas();
        // Timesteps are found by comparing these, and may be cut to whole ones: the last bit counts.
        let log_sigmas: Vec<f64> = training.iter().map(|sigma| f64::from(sigma.ln())).collect();
        let training: Vec<f64> = training.into_iter().map(f64::from).collect();
        let steps = timesteps.len();
        let mut sigmas: Vec<f64> = timesteps.iter().map(|t| interpolate(&training, *t)).collect();
        let ends = match round {
            Round::No => (sigmas[0], sigmas[steps - 1]),
            // DPM-Solver's schedules reach over all of training's levels.
            Round::Whole | Round::Karras => (training[training.len() - 1], training[0]),
        };
        let (high, low) = (config.sigma_max.unwrap_or(ends.0), config.sigma_min.unwrap_or(ends.1));
        let spaced = match config.sigma_schedule {
            SigmaSchedule::Timesteps => None,
            SigmaSchedule::Karras => Some(karras(high, low, steps)),
            SigmaSchedule::Exponential => Some(exponential(high, low, steps)),
        };
        if let Some(spaced) = spaced {
            timesteps = spaced.iter().map(|sigma| timestep_of(&log_sigmas, *sigma)).collect();
            if round == Round::Karras && config.sigma_schedule == SigmaSchedule::Karras {
                timesteps.iter_mut().for_each(|t| *t = t.round_ties_even());
            }
            if round != Round::No {
                timesteps.iter_mut().for_each(|t| *t = t.trunc());
            }
            sigmas = spaced;
        }
        sigmas.push(if config.final_sigma_min { training[0] } else { 0.0 });
        Self {
            timesteps,
            sigmas,
            log_sigmas,
            leading: config.timestep_spacing == Spacing::Leading,
        }
    }

    /// Standard deviation of the noise that a sample begins as.
    pub(super) fn initial(&self) -> f64 {
        let highest = self.sigmas.iter().copied().fold(0.0, f64::max);
        match self.leading {
            true => (highest * highest + 1.0).sqrt(),
            false => highest,
        }
    }
}

/// What becomes of timesteps that come from noise levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Round {
    /// They stay between two of training's.
    No,
    /// They are cut to whole ones.
    Whole,
    /// Karras's are rounded first.
    Karras,
}

/// Steps that are even in σ^(1/ρ).
fn karras(high: f64, low: f64, steps: usize) -> Vec<f64> {
    let (high, low) = (high.powf(1.0 / RHO), low.powf(1.0 / RHO));
    let ramp = spacing::linspace(1.0, steps, true);
    ramp.into_iter()
        .map(|at| (high + at * (low - high)).powf(RHO))
        .collect()
}

/// Steps that are even in log σ.
fn exponential(high: f64, low: f64, steps: usize) -> Vec<f64> {
    let ramp = spacing::linspace(low.ln() - high.ln(), steps, true);
    ramp.into_iter().map(|at| (high.ln() + at).exp()).collect()
}

/// The value at a fractional index, linear between neighbours, the ends beyond them.
fn interpolate(values: &[f64], at: f64) -> f64 {
    let low = (at.max(0.0) as usize).min(values.len() - 1);
    let high = (low + 1).min(values.len() - 1);
    let share = (at - low as f64).clamp(0.0, 1.0);
    values[low] + (values[high] - values[low]) * share
}

/// The fractional training timestep that has this noise level.
pub(super) fn timestep_of(log_sigmas: &[f64], sigma: f64) -> f64 {
    let log = sigma.max(1e-10).ln();
    let low = log_sigmas.iter().rposition(|level| log >= *level).unwrap_or(0);
    let low = low.min(log_sigmas.len() - 2);
    let share = ((log_sigmas[low] - log) / (log_sigmas[low] - log_sigmas[low + 1])).clamp(0.0, 1.0);
    low as f64 + share
}
