//! Samplers of diffusers-rs, for the configurations in which they compute what Python's diffusers does: the classic ones
//! of Stable Diffusion, evenly spaced, unclipped. Its Euler is given no spacing but linspace and an initial σ that differs,
//! its ancestral samplers and DDPM draw their noise themselves, its DPM-Solver ends a step early, and its cosine schedule
//! divides whole numbers: those are ours throughout.

use diffusers::schedulers::{
    BetaSchedule as TheirBetas, PredictionType as TheirPrediction,
    ddim::{DDIMScheduler, DDIMSchedulerConfig},
    pndm::{PNDMScheduler, PNDMSchedulerConfig},
};
use tch::Tensor;

use super::{
    PredictionType, Scheduler, SchedulerConfig, SchedulerKind, Step,
    config::{BetaSchedule, Spacing},
    ddim::diffuse,
    prediction::Clip,
    table::Table,
};

/// A sampler of diffusers-rs; estimates and noise are made here, since it gives none.
struct Lent {
    sampler: Sampler,
    timesteps: Vec<f64>,
    table: Table,
    prediction: PredictionType,
}

enum Sampler {
    Ddim(DDIMScheduler),
    Pndm(Box<PNDMScheduler>),
}

/// The sampler that diffusers-rs has for this configuration, if it has one.
pub(super) fn build(config: &SchedulerConfig, steps: usize) -> Option<Box<dyn Scheduler>> {
    let plain = config.timestep_spacing == Spacing::Leading
        && config.clip == Clip::None
        && !config.rescale_betas_zero_snr
        // Its tables end where training does.
        && (steps - 1) * (config.num_train_timesteps / steps) + config.steps_offset < config.num_train_timesteps;
    let beta_schedule = match config.beta_schedule {
        BetaSchedule::Linear => TheirBetas::Linear,
        BetaSchedule::ScaledLinear => TheirBetas::ScaledLinear,
        BetaSchedule::SquaredCosine | BetaSchedule::Trained(_) => return None,
    };
    let prediction_type = match config.prediction_type {
        PredictionType::Epsilon => TheirPrediction::Epsilon,
        PredictionType::Velocity => TheirPrediction::VPrediction,
        PredictionType::Sample => TheirPrediction::Sample,
    };
    let sampler = match config.kind {
        // It always ends at the first timestep's ᾱ.
        SchedulerKind::Ddim if plain && !config.set_alpha_to_one => {
            let theirs = DDIMSchedulerConfig {
                beta_start: config.beta_start,
                beta_end: config.beta_end,
                beta_schedule,
                eta: 0.0,
                steps_offset: config.steps_offset,
                prediction_type,
                train_timesteps: config.num_train_timesteps,
            };
            Sampler::Ddim(DDIMScheduler::new(steps, theirs))
        }
        SchedulerKind::Pndm if plain && config.skip_prk_steps => {
            let theirs = PNDMSchedulerConfig {
                beta_start: config.beta_start,
                beta_end: config.beta_end,
                beta_schedule,
                set_alpha_to_one: config.set_alpha_to_one,
                prediction_type,
                steps_offset: config.steps_offset,
                train_timesteps: config.num_train_timesteps,
            };
            Sampler::Pndm(Box::new(PNDMScheduler::new(steps, theirs)))
        }
        _ => return None,
    };
    let timesteps = match &sampler {
        Sampler::Ddim(sampler) => sampler.timesteps(),
        Sampler::Pndm(sampler) => sampler.timesteps(),
    };
    Some(Box::new(Lent {
        timesteps: timesteps.iter().map(|timestep| *timestep as f64).collect(),
        sampler,
        table: Table::new(config),
        prediction: config.prediction_type,
    }))
}

// === impl Lent ===

impl Scheduler for Lent {
    fn timesteps(&self) -> &[f64] {
        &self.timesteps
    }

    fn add_noise(&self, index: usize, clean: &Tensor, noise: &Tensor) -> Tensor {
        diffuse(clean, noise, self.table.alpha(self.timesteps[index] as i64))
    }

    fn step(&mut self, index: usize, output: &Tensor, sample: &Tensor, _: Option<&Tensor>) -> Step {
        let timestep = self.timesteps[index];
        let (estimate, _) = self.prediction.split(output, sample, self.table.alpha(timestep as i64));
        let sample = match &mut self.sampler {
            Sampler::Ddim(sampler) => sampler.step(output, timestep as usize, sample),
            Sampler::Pndm(sampler) => sampler.step(output, timestep as usize, sample),
        };
        Step { sample, estimate }
    }
}
