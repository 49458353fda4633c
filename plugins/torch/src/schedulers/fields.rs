//! The fields of `scheduler_config.json` that take more than a default: each is read for one sampler, and what that
//! sampler would do otherwise than is asked is an error that names the field.

use super::{
    PredictionType,
    config::{BetaSchedule, DpmVariant, SchedulerKind, SigmaSchedule, Spacing},
    prediction::Clip,
};
use crate::{config::Fields, error::LoadError};

/// Fields that some class has, which others don't look at.
pub(super) const OF_OTHERS: [&str; 34] = [
    "algorithm_type",
    "clip_sample",
    "clip_sample_range",
    "dynamic_thresholding_ratio",
    "euler_at_final",
    "final_sigmas_type",
    "flow_shift",
    "interpolation_type",
    "lambda_min_clipped",
    "lower_order_final",
    "original_inference_steps",
    "rescale_betas_zero_snr",
    "sample_max_value",
    "set_alpha_to_one",
    "sigma_max",
    "sigma_min",
    "skip_prk_steps",
    "solver_order",
    "solver_type",
    "steps_offset",
    "thresholding",
    "time_shift_type",
    "timestep_scaling",
    "timestep_spacing",
    "timestep_type",
    "use_beta_sigmas",
    "use_dynamic_shifting",
    "use_exponential_sigmas",
    "use_flow_sigmas",
    "use_karras_sigmas",
    "use_lu_lambdas",
    "variance_type",
    "predict_x0",
    "solver_p",
];

pub(super) fn prediction(fields: &mut Fields) -> Result<PredictionType, LoadError> {
    let name: String = fields.get("prediction_type", "epsilon".to_owned())?;
    match name.as_str() {
        "epsilon" => Ok(PredictionType::Epsilon),
        "v_prediction" => Ok(PredictionType::Velocity),
        "sample" | "original_sample" => Ok(PredictionType::Sample),
        other => {
            let problem = format!("is {other}; epsilon, v_prediction and sample are supported");
            Err(fields.error("prediction_type", problem))
        }
    }
}

pub(super) fn betas(fields: &mut Fields, kind: SchedulerKind, steps: usize) -> Result<BetaSchedule, LoadError> {
    let default = if kind == SchedulerKind::Lcm {
        "scaled_linear"
    } else {
        "linear"
    };
    let name: String = fields.get("beta_schedule", default.to_owned())?;
    if let Some(betas) = fields.optional::<Vec<f64>>("trained_betas")? {
        return match betas.len() == steps && betas.iter().all(|beta| (0.0..1.0).contains(beta)) {
            true => Ok(BetaSchedule::Trained(betas)),
            false => Err(fields.error("trained_betas", format!("must list {steps} numbers of 0 to 1"))),
        };
    }
    match name.as_str() {
        "linear" => Ok(BetaSchedule::Linear),
        "scaled_linear" => Ok(BetaSchedule::ScaledLinear),
        "squaredcos_cap_v2" => Ok(BetaSchedule::SquaredCosine),
        other => {
            let problem = format!("is {other}; linear, scaled_linear and squaredcos_cap_v2 are supported");
            Err(fields.error("beta_schedule", problem))
        }
    }
}

pub(super) fn spacing(fields: &mut Fields, kind: SchedulerKind) -> Result<Spacing, LoadError> {
    let default = match kind.has_sigmas() || kind == SchedulerKind::DpmSolverMultistep {
        true => "linspace",
        false => "leading",
    };
    let name: String = fields.get("timestep_spacing", default.to_owned())?;
    match name.as_str() {
        "linspace" => Ok(Spacing::Linspace),
        "leading" => Ok(Spacing::Leading),
        "trailing" => Ok(Spacing::Trailing),
        other => {
            let problem = format!("is {other}; linspace, leading and trailing are supported");
            Err(fields.error("timestep_spacing", problem))
        }
    }
}

pub(super) fn zero_snr(fields: &mut Fields, kind: SchedulerKind) -> Result<bool, LoadError> {
    let wanted = fields.get("rescale_betas_zero_snr", false)?;
    let has_none = [
        SchedulerKind::Pndm,
        SchedulerKind::Heun,
        SchedulerKind::Lms,
        SchedulerKind::Kdpm2,
    ];
    // These classes don't have the field, and diffusers runs them without it.
    Ok(wanted && !has_none.contains(&kind))
}

pub(super) fn clip(fields: &mut Fields, kind: SchedulerKind, latent: bool) -> Result<Clip, LoadError> {
    let default = matches!(kind, SchedulerKind::Ddim | SchedulerKind::Ddpm);
    let clips = fields.get("clip_sample", default)?;
    let range: f64 = fields.get("clip_sample_range", 1.0)?;
    let dynamic = fields.get("thresholding", false)?;
    let ratio: f64 = fields.get("dynamic_thresholding_ratio", 0.995)?;
    let max: f64 = fields.get("sample_max_value", 1.0)?;
    if !(0.0..=1.0).contains(&ratio) || !range.is_finite() || !max.is_finite() {
        return Err(fields.error(
            "dynamic_thresholding_ratio",
            "must be 0 to 1, and ranges must be finite",
        ));
    }
    let thresholds = [
        SchedulerKind::Ddim,
        SchedulerKind::Ddpm,
        SchedulerKind::DpmSolverMultistep,
        SchedulerKind::Lcm,
    ];
    let clamps = [
        SchedulerKind::Ddim,
        SchedulerKind::Ddpm,
        SchedulerKind::Heun,
        SchedulerKind::Lcm,
    ];
    Ok(match () {
        () if dynamic && thresholds.contains(&kind) => Clip::Dynamic { ratio, max },
        () if clips && clamps.contains(&kind) && !latent => Clip::Range(range),
        () => Clip::None,
    })
}

pub(super) fn sigmas(fields: &mut Fields, kind: SchedulerKind) -> Result<SigmaSchedule, LoadError> {
    let karras = fields.get("use_karras_sigmas", false)?;
    let exponential = fields.get("use_exponential_sigmas", false)?;
    let uses =
        (kind.has_sigmas() && kind != SchedulerKind::EulerAncestral) || kind == SchedulerKind::DpmSolverMultistep;
    if uses {
        fields.only("use_beta_sigmas", false)?;
    }
    if kind == SchedulerKind::DpmSolverMultistep {
        fields.only("use_lu_lambdas", false)?;
        fields.only("use_flow_sigmas", false)?;
        fields.only("use_dynamic_shifting", false)?;
    }
    if karras && exponential {
        return Err(fields.error("use_exponential_sigmas", "is true, and use_karras_sigmas too"));
    }
    if kind == SchedulerKind::Euler {
        let interpolation: String = fields.get("interpolation_type", "linear".to_owned())?;
        match interpolation.as_str() {
            "linear" => {}
            other => return Err(fields.error("interpolation_type", format!("is {other}; only linear is supported"))),
        }
    }
    Ok(match uses {
        true if karras => SigmaSchedule::Karras,
        true if exponential => SigmaSchedule::Exponential,
        _ => SigmaSchedule::Timesteps,
    })
}

pub(super) fn final_sigma(fields: &mut Fields, kind: SchedulerKind) -> Result<bool, LoadError> {
    let name: String = fields.get("final_sigmas_type", "zero".to_owned())?;
    let has_it = matches!(kind, SchedulerKind::Euler | SchedulerKind::DpmSolverMultistep);
    match name.as_str() {
        "zero" => Ok(false),
        "sigma_min" => Ok(has_it),
        other if has_it => Err(fields.error("final_sigmas_type", format!("is {other}; it is zero or sigma_min"))),
        _ => Ok(false),
    }
}

pub(super) fn continuous(fields: &mut Fields, kind: SchedulerKind) -> Result<bool, LoadError> {
    let name: String = fields.get("timestep_type", "discrete".to_owned())?;
    match name.as_str() {
        "discrete" => Ok(false),
        "continuous" => Ok(kind == SchedulerKind::Euler),
        other => Err(fields.error("timestep_type", format!("is {other}; it is discrete or continuous"))),
    }
}

pub(super) fn variance(fields: &mut Fields, kind: SchedulerKind) -> Result<bool, LoadError> {
    let name: Option<String> = fields.optional("variance_type")?;
    match (kind, name.as_deref()) {
        (SchedulerKind::Ddpm, None | Some("fixed_small")) => Ok(false),
        (SchedulerKind::Ddpm, Some("fixed_large")) => Ok(true),
        (SchedulerKind::Ddpm | SchedulerKind::DpmSolverMultistep, Some(other)) => {
            let problem = format!("is {other}; DDPM's fixed_small and fixed_large are supported");
            Err(fields.error("variance_type", problem))
        }
        _ => Ok(false),
    }
}

pub(super) fn dpm(fields: &mut Fields, kind: SchedulerKind) -> Result<DpmVariant, LoadError> {
    let standard = DpmVariant {
        plus_plus: true,
        stochastic: false,
        heun: false,
        order: 2,
        lower_order_final: true,
        euler_at_final: false,
    };
    if kind != SchedulerKind::DpmSolverMultistep {
        return Ok(standard);
    }
    let algorithm: String = fields.get("algorithm_type", "dpmsolver++".to_owned())?;
    let (plus_plus, stochastic) = match algorithm.as_str() {
        "dpmsolver++" | "deis" => (true, false),
        "sde-dpmsolver++" => (true, true),
        "dpmsolver" => (false, false),
        "sde-dpmsolver" => (false, true),
        other => return Err(fields.error("algorithm_type", format!("is {other}, which isn't supported"))),
    };
    let solver: String = fields.get("solver_type", "midpoint".to_owned())?;
    let heun = match solver.as_str() {
        "midpoint" | "logrho" | "bh1" | "bh2" => false,
        "heun" => true,
        other => return Err(fields.error("solver_type", format!("is {other}; it is midpoint or heun"))),
    };
    if let Some(floor) = fields.optional::<f64>("lambda_min_clipped")?
        && floor > -50.0
    {
        return Err(fields.error("lambda_min_clipped", format!("is {floor}; only -inf is supported")));
    }
    Ok(DpmVariant {
        plus_plus,
        stochastic,
        heun,
        order: fields.count("solver_order", 2, 1..=2)? as usize,
        lower_order_final: fields.get("lower_order_final", true)?,
        euler_at_final: fields.get("euler_at_final", false)?,
    })
}
