//! Which of the training timesteps are visited (Lin et al. 2023, table 2).

use super::config::{SchedulerConfig, Spacing};

/// Whole timesteps for `steps` passes, noisiest first.
pub(super) fn whole(config: &SchedulerConfig, steps: usize) -> Vec<f64> {
    let mut timesteps = fractional(config, steps);
    for timestep in &mut timesteps {
        *timestep = timestep.round_ties_even();
    }
    timesteps
}

/// The same where a timestep may lie between two of training's.
pub(super) fn fractional(config: &SchedulerConfig, steps: usize) -> Vec<f64> {
    let training = config.num_train_timesteps as f64;
    match config.timestep_spacing {
        Spacing::Linspace => linspace(training - 1.0, steps, true).into_iter().rev().collect(),
        Spacing::Leading => {
            let ratio = config.num_train_timesteps / steps;
            let offset = config.steps_offset;
            (0..steps).rev().map(|at| (at * ratio) as f64 + offset as f64).collect()
        }
        Spacing::Trailing => trailing(training, training, steps),
    }
}

/// `steps` timesteps that end a step above zero, beginning at `last`.
pub(super) fn trailing(training: f64, last: f64, steps: usize) -> Vec<f64> {
    let ratio = training / steps as f64;
    let count = (last / ratio).ceil() as usize;
    (0..count)
        .map(|at| (last - at as f64 * ratio).round_ties_even() - 1.0)
        .collect()
}

/// `count` numbers from 0 to `end`, with or without the end.
pub(super) fn linspace(end: f64, count: usize, with_end: bool) -> Vec<f64> {
    let gaps = if with_end { count.saturating_sub(1) } else { count };
    (0..count).map(|at| at as f64 * (end / gaps.max(1) as f64)).collect()
}
