//! Every sampler's trajectory under a stand-in for a model, against diffusers' (made by `make_goldens.py`).

mod support;

use sensorium_torch::{
    noise::{Stream, normal},
    schedulers::{SchedulerConfig, SchedulerKind},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use support::{golden, relative_error, tensors};
use tch::Tensor;

/// Largest relative error of any sample of a trajectory.
const BOUND: f64 = 1e-4;
const SHAPE: [i64; 3] = [2, 3, 3];

#[derive(Deserialize)]
struct Case {
    class: String,
    config: Map<String, Value>,
    steps: usize,
    #[serde(default)]
    begin: usize,
}

/// A smooth function in place of a model.
fn stand_in(sample: &Tensor, timestep: f64) -> Tensor {
    (sample * 0.6 + (timestep / 150.0).cos()).tanh() * 0.9
}

fn run(case: &Case, samples: &Tensor, timesteps: &Tensor) -> Result<f64, String> {
    let kind = SchedulerKind::parse(&case.class).ok_or("an unknown class")?;
    let config = SchedulerConfig::new(kind, "case", &case.config, false).map_err(|error| error.to_string())?;
    let mut scheduler = config.build(case.steps)?;
    let theirs = Vec::<f64>::try_from(timesteps).expect("numbers");
    let ours = scheduler.timesteps().to_vec();
    let apart = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    if ours.len() != theirs.len() || apart > 2e-3 {
        return Err(format!("timesteps {ours:?} where {theirs:?} are expected"));
    }
    let begin = case.begin * scheduler.order();
    let initial = normal(3, Stream::Initial, &SHAPE);
    let mut sample = match begin {
        0 => initial * scheduler.initial_sigma(),
        _ => scheduler.add_noise(begin, &normal(4, Stream::Initial, &SHAPE), &initial),
    };
    let mut worst = relative_error(&sample, &samples.narrow(0, 0, 1));
    let mut drawn = begin as u32;
    for (index, timestep) in ours.iter().enumerate().skip(begin) {
        let seen = scheduler.scale_input(index, &sample);
        let noise = scheduler.wants_noise(index).then(|| {
            drawn += 1;
            normal(3, Stream::Step(drawn - 1), &SHAPE)
        });
        let output = stand_in(&seen, *timestep);
        sample = scheduler.step(index, &output, &sample, noise.as_ref()).sample;
        worst = worst.max(relative_error(
            &sample,
            &samples.narrow(0, (index - begin) as i64 + 1, 1),
        ));
    }
    Ok(worst)
}

#[test]
fn trajectories_are_those_of_diffusers() {
    let cases: Vec<Case> =
        serde_json::from_str(&std::fs::read_to_string(golden("schedulers.json")).expect("cases")).expect("valid");
    let expected = tensors("schedulers.safetensors");
    let mut wrong = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        let (samples, timesteps) = (
            &expected[&format!("{index}.samples")],
            &expected[&format!("{index}.timesteps")],
        );
        let config = Value::Object(case.config.clone());
        let label = format!("{} {} steps from {} {config}", case.class, case.steps, case.begin);
        match run(case, samples, timesteps) {
            Ok(error) => {
                println!("{error:.2e} {label}");
                if error.is_nan() || error > BOUND {
                    wrong.push(format!("{label}: {error:.2e}"));
                }
            }
            Err(problem) => wrong.push(format!("{label}: {problem}")),
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} are apart:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

#[test]
fn what_a_field_asks_and_is_not_done_is_named() {
    for (class, json, part) in [
        (
            "EulerDiscreteScheduler",
            r#"{"use_beta_sigmas": true}"#,
            "use_beta_sigmas is true",
        ),
        (
            "EulerDiscreteScheduler",
            r#"{"interpolation_type": "log_linear"}"#,
            "interpolation_type",
        ),
        (
            "EulerDiscreteScheduler",
            r#"{"beta_schedule": "sigmoid"}"#,
            "beta_schedule is sigmoid",
        ),
        (
            "DPMSolverMultistepScheduler",
            r#"{"solver_order": 3}"#,
            "solver_order is 3",
        ),
        (
            "DPMSolverMultistepScheduler",
            r#"{"use_flow_sigmas": true}"#,
            "use_flow_sigmas",
        ),
        (
            "DPMSolverMultistepScheduler",
            r#"{"algorithm_type": "dpmsolver"}"#,
            "final_sigmas_type",
        ),
        (
            "DDPMScheduler",
            r#"{"variance_type": "learned_range"}"#,
            "variance_type is learned_range",
        ),
        (
            "PNDMScheduler",
            r#"{"prediction_type": "sample"}"#,
            "prediction_type is sample",
        ),
        (
            "DDIMScheduler",
            r#"{"prediction_type": "flow"}"#,
            "prediction_type is flow",
        ),
        (
            "DDIMScheduler",
            r#"{"rescale_betas_zero_snr": true}"#,
            "rescale_betas_zero_snr",
        ),
        ("DDIMScheduler", r#"{"no_such_field": 1}"#, "no_such_field"),
        ("DDIMScheduler", r#"{"num_train_timesteps": 1}"#, "num_train_timesteps"),
        ("DDIMScheduler", r#"{"trained_betas": [0.1]}"#, "trained_betas"),
    ] {
        let kind = SchedulerKind::parse(class).expect("a known class");
        let map = serde_json::from_str(json).expect("valid JSON");
        let error = SchedulerConfig::new(kind, "scheduler_config.json", &map, false).expect_err(json);
        assert!(error.to_string().contains(part), "{class} {json}: {error}");
    }
    // A field of another class is let be, as diffusers does.
    let map = serde_json::from_str(r#"{"skip_prk_steps": true, "clip_sample": false}"#).expect("valid JSON");
    assert!(SchedulerConfig::new(SchedulerKind::Euler, "f", &map, false).is_ok());
    let config = SchedulerConfig::new(SchedulerKind::Lcm, "f", &Map::new(), false).expect("defaults");
    assert!(config.build(51).is_err_and(|problem| problem.contains("1 to 50 steps")));
}
