//! `scheduler_config.json`: fields with the defaults of their class. A field that only other classes have is let be, as
//! diffusers does; one that asks for what isn't done here is an error that names it.

use serde_json::{Map, Value};

use super::{
    PredictionType, Scheduler, ddim::Ddim, ddpm::Ddpm, diffusers_rs, dpm_solver::DpmSolver, euler::Euler, fields,
    heun::Heun, kdpm2::Kdpm2, lcm::Lcm, lms::Lms, pndm::Pndm, prediction::Clip,
};
use crate::{config::Fields, error::LoadError};

/// A sampler, by the name of its class in diffusers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SchedulerKind {
    /// Song et al. 2020.
    Ddim,
    /// Ho et al. 2020.
    Ddpm,
    /// Liu et al. 2022.
    Pndm,
    /// Karras et al. 2022, algorithm 2 without its second order.
    Euler,
    /// The same with noise added at each step.
    EulerAncestral,
    /// Lu et al. 2022.
    DpmSolverMultistep,
    /// Karras et al. 2022, algorithm 2.
    Heun,
    /// Adams-Bashforth with steps of any length.
    Lms,
    /// Karras et al. 2022 with the midpoint rule.
    Kdpm2,
    /// Luo et al. 2023.
    Lcm,
}

/// How β grows over training.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum BetaSchedule {
    /// Evenly.
    Linear,
    /// Its root evenly.
    ScaledLinear,
    /// So that ᾱ is a squared cosine (Nichol & Dhariwal 2021).
    SquaredCosine,
    /// As listed.
    Trained(Vec<f64>),
}

/// Which timesteps are visited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spacing {
    /// From the first to the last.
    Linspace,
    /// From the first on.
    Leading,
    /// Up to the last.
    Trailing,
}

/// Which noise levels are visited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SigmaSchedule {
    /// Those of the timesteps.
    Timesteps,
    /// Karras et al. 2022.
    Karras,
    /// Even in log σ.
    Exponential,
}

/// Which of DPM-Solver's variants is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DpmVariant {
    /// It integrates the clean sample's estimate (DPM-Solver++), not the noise's.
    pub(super) plus_plus: bool,
    /// It adds noise at each step.
    pub(super) stochastic: bool,
    /// Its second order is Heun's, not the midpoint's.
    pub(super) heun: bool,
    /// 1, 2 or 3.
    pub(super) order: usize,
    /// Lower orders at the end of fewer than 15 steps.
    pub(super) lower_order_final: bool,
    /// First order at the last step.
    pub(super) euler_at_final: bool,
}

/// A sampler's configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct SchedulerConfig {
    /// Which sampler it is.
    pub kind: SchedulerKind,
    /// What the model predicts.
    pub prediction_type: PredictionType,
    /// Timesteps of training.
    pub num_train_timesteps: usize,
    pub(super) beta_start: f64,
    pub(super) beta_end: f64,
    pub(super) beta_schedule: BetaSchedule,
    pub(super) timestep_spacing: Spacing,
    pub(super) steps_offset: usize,
    pub(super) set_alpha_to_one: bool,
    pub(super) skip_prk_steps: bool,
    pub(super) rescale_betas_zero_snr: bool,
    pub(super) clip: Clip,
    pub(super) sigma_schedule: SigmaSchedule,
    pub(super) sigma_min: Option<f64>,
    pub(super) sigma_max: Option<f64>,
    pub(super) final_sigma_min: bool,
    pub(super) continuous_timesteps: bool,
    pub(super) large_variance: bool,
    pub(super) dpm: DpmVariant,
    pub(super) original_steps: usize,
    pub(super) timestep_scaling: f64,
}

const KINDS: [(SchedulerKind, &str); 10] = [
    (SchedulerKind::Ddim, "DDIMScheduler"),
    (SchedulerKind::Ddpm, "DDPMScheduler"),
    (SchedulerKind::Pndm, "PNDMScheduler"),
    (SchedulerKind::Euler, "EulerDiscreteScheduler"),
    (SchedulerKind::EulerAncestral, "EulerAncestralDiscreteScheduler"),
    (SchedulerKind::DpmSolverMultistep, "DPMSolverMultistepScheduler"),
    (SchedulerKind::Heun, "HeunDiscreteScheduler"),
    (SchedulerKind::Lms, "LMSDiscreteScheduler"),
    (SchedulerKind::Kdpm2, "KDPM2DiscreteScheduler"),
    (SchedulerKind::Lcm, "LCMScheduler"),
];

// === impl SchedulerKind ===

impl SchedulerKind {
    /// The sampler of that class.
    pub fn parse(class: &str) -> Option<Self> {
        KINDS.into_iter().find(|(_, name)| *name == class).map(|(kind, _)| kind)
    }

    /// The name of its class in diffusers.
    pub fn class(self) -> &'static str {
        KINDS
            .into_iter()
            .find(|(kind, _)| *kind == self)
            .map_or("", |(_, name)| name)
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        KINDS.into_iter().map(|(kind, _)| kind)
    }

    /// Its samples are x + σ · noise, not √ᾱ x + √(1-ᾱ) · noise.
    pub(super) fn has_sigmas(self) -> bool {
        matches!(
            self,
            Self::Euler | Self::EulerAncestral | Self::Heun | Self::Lms | Self::Kdpm2
        )
    }
}

// === impl SchedulerConfig ===

impl SchedulerConfig {
    /// Reads the fields of a file for a sampler, which need not be the one that it was written for. `latent` pipelines
    /// (Stable Diffusion 1 and 2) take a `steps_offset` other than 1 and `clip_sample` for mistakes of old files, as
    /// diffusers does.
    ///
    /// # Errors
    /// If a field is unknown, or asks for what this sampler doesn't do here.
    pub fn new(kind: SchedulerKind, label: &str, map: &Map<String, Value>, latent: bool) -> Result<Self, LoadError> {
        let mut taken = Fields::new(label, map.clone());
        let f = &mut taken;
        let sigma_defaults = matches!(kind, SchedulerKind::Heun | SchedulerKind::Kdpm2 | SchedulerKind::Lcm);
        let (start, end) = if sigma_defaults {
            (0.00085, 0.012)
        } else {
            (0.0001, 0.02)
        };
        let num_train_timesteps = f.count("num_train_timesteps", 1000, 2..=1 << 20)? as usize;
        let config = Self {
            kind,
            num_train_timesteps,
            prediction_type: fields::prediction(f)?,
            beta_start: f.get("beta_start", start)?,
            beta_end: f.get("beta_end", end)?,
            beta_schedule: fields::betas(f, kind, num_train_timesteps)?,
            timestep_spacing: fields::spacing(f, kind)?,
            steps_offset: match latent && kind != SchedulerKind::Lcm {
                true => f.count("steps_offset", 1, 0..=1 << 16).map(|_| 1)?,
                false => f.count("steps_offset", 0, 0..=1 << 16)? as usize,
            },
            set_alpha_to_one: f.get("set_alpha_to_one", kind != SchedulerKind::Pndm)?,
            skip_prk_steps: f.get("skip_prk_steps", false)?,
            rescale_betas_zero_snr: fields::zero_snr(f, kind)?,
            clip: fields::clip(f, kind, latent)?,
            sigma_schedule: fields::sigmas(f, kind)?,
            sigma_min: f.optional("sigma_min")?.filter(|_| kind == SchedulerKind::Euler),
            sigma_max: f.optional("sigma_max")?.filter(|_| kind == SchedulerKind::Euler),
            final_sigma_min: fields::final_sigma(f, kind)?,
            continuous_timesteps: fields::continuous(f, kind)?,
            large_variance: fields::variance(f, kind)?,
            dpm: fields::dpm(f, kind)?,
            original_steps: f.count("original_inference_steps", 50, 1..=num_train_timesteps as i64)? as usize,
            timestep_scaling: f.get("timestep_scaling", 10.0)?,
        };
        taken.skip(&fields::OF_OTHERS);
        taken.finish()?;
        config.check(&taken)?;
        Ok(config)
    }

    /// A sampler for `steps` steps.
    ///
    /// # Errors
    /// If so many steps make no sense; the message says how many do.
    pub fn build(&self, steps: usize) -> Result<Box<dyn Scheduler>, String> {
        let most = match self.kind {
            SchedulerKind::Lcm => self.original_steps,
            _ => self.num_train_timesteps,
        };
        let least = match self.kind {
            SchedulerKind::Pndm if !self.skip_prk_steps => 4,
            SchedulerKind::Pndm => 2,
            _ => 1,
        };
        if !(least..=most).contains(&steps) {
            return Err(format!(
                "{} takes {least} to {most} steps, not {steps}",
                self.kind.class()
            ));
        }
        if let Some(sampler) = diffusers_rs::build(self, steps) {
            return Ok(sampler);
        }
        Ok(match self.kind {
            SchedulerKind::Ddim => Box::new(Ddim::new(self, steps)),
            SchedulerKind::Ddpm => Box::new(Ddpm::new(self, steps)),
            SchedulerKind::Pndm => Box::new(Pndm::new(self, steps)),
            SchedulerKind::Euler | SchedulerKind::EulerAncestral => Box::new(Euler::new(self, steps)),
            SchedulerKind::DpmSolverMultistep => Box::new(DpmSolver::new(self, steps)),
            SchedulerKind::Heun => Box::new(Heun::new(self, steps)),
            SchedulerKind::Lms => Box::new(Lms::new(self, steps)),
            SchedulerKind::Kdpm2 => Box::new(Kdpm2::new(self, steps)),
            SchedulerKind::Lcm => Box::new(Lcm::new(self, steps)),
        })
    }

    fn check(&self, fields: &Fields) -> Result<(), LoadError> {
        let class = self.kind.class();
        let (sample, noise) = (
            self.prediction_type == PredictionType::Sample,
            self.rescale_betas_zero_snr,
        );
        let no_sample = [SchedulerKind::Pndm, SchedulerKind::EulerAncestral, SchedulerKind::Kdpm2];
        if sample && no_sample.contains(&self.kind) {
            return Err(fields.error("prediction_type", format!("is sample, which {class} doesn't support")));
        }
        let epsilon = self.prediction_type == PredictionType::Epsilon;
        let divides = matches!(
            self.kind,
            SchedulerKind::Ddim | SchedulerKind::Ddpm | SchedulerKind::Lcm
        );
        if noise && epsilon && divides {
            return Err(fields.error(
                "rescale_betas_zero_snr",
                "is true: pure noise tells a model of epsilon nothing",
            ));
        }
        if !self.dpm.plus_plus && !self.final_sigma_min {
            return Err(fields.error(
                "final_sigmas_type",
                "is zero, which only dpmsolver++ and sde-dpmsolver++ reach",
            ));
        }
        Ok(())
    }
}
