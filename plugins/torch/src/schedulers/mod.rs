//! Samplers: from a model's predictions at a list of timesteps to an image, by diffusers' names and with its arithmetic.
//!
//! `config` reads `scheduler_config.json`, `table`, `spacing` and `sigmas` make the numbers, and each file after them is
//! one sampler. Where diffusers-rs computes what Python's diffusers does, `diffusers_rs` lends its samplers instead.
//!
//! Samples are f32 `[b, c, h, w]`, whatever the network computes in; noise comes from outside, so that an image depends on
//! its own seed alone.

mod config;
mod ddim;
mod ddpm;
mod diffusers_rs;
mod dpm_solver;
mod euler;
mod fields;
mod heun;
mod kdpm2;
mod lcm;
mod lms;
mod pndm;
mod prediction;
mod sigmas;
mod spacing;
mod table;

pub use config::{SchedulerConfig, SchedulerKind};
pub use prediction::PredictionType;

use tch::Tensor;

/// What a step comes to.
pub struct Step {
    /// The sample at the next timestep.
    pub sample: Tensor,
    /// What the model now takes for the clean sample.
    pub estimate: Tensor,
}

/// A sampler on its way through one list of timesteps. `index` is a position in that list; the first call may be at any,
/// and each after it is at the one that follows.
pub trait Scheduler: Send {
    /// What the model is to be told at each of its passes.
    fn timesteps(&self) -> &[f64];

    /// Model passes for each step of the request.
    fn order(&self) -> usize {
        1
    }

    /// Standard deviation of the noise that a sample begins as.
    fn initial_sigma(&self) -> f64 {
        1.0
    }

    /// The sample as the model is to see it.
    fn scale_input(&self, _index: usize, sample: &Tensor) -> Tensor {
        sample.shallow_clone()
    }

    /// True if the step at `index` wants noise.
    fn wants_noise(&self, _index: usize) -> bool {
        false
    }

    /// `clean` with as much noise as the sample at `index` has.
    fn add_noise(&self, index: usize, clean: &Tensor, noise: &Tensor) -> Tensor;

    /// The next sample from what the model has said of this one. `noise` is standard normal, of the sample's shape, and
    /// there wherever [`Scheduler::wants_noise`] holds.
    fn step(&mut self, index: usize, output: &Tensor, sample: &Tensor, noise: Option<&Tensor>) -> Step;
}

/// Noise that a step has said it wants.
fn wanted(noise: Option<&Tensor>) -> &Tensor {
    noise.expect("whoever steps gives noise where wants_noise holds")
}
