//! A pipeline at the end of a pipe, for `bench/diffusion`: `denoise_speed MODEL_DIR DTYPE THREADS`.
//!
//! Reads one JSON object a line, `{"work": "step" | "image", "side": 512, "steps": 20, "seed": 1}`, and answers with the
//! seconds that it took and the most memory that the process has had. A step is one guided pass of the UNet with the
//! sampler's step after it.

use std::{
    io::{BufRead, Write, stdin, stdout},
    path::PathBuf,
    time::Instant,
};

use sensorium_torch::{
    Target,
    pipeline::{ImageTask, LoadSettings, Pipeline, Seeds},
    schedulers::SchedulerKind,
};
use serde::Deserialize;
use tch::{Device, Kind};

#[derive(Deserialize)]
struct Order {
    work: String,
    side: i64,
    steps: usize,
    seed: u64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    sensorium_torch::memory::keep_freed();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, dtype, threads] = arguments.as_slice() else {
        return Err("usage: denoise_speed MODEL_DIR f32|bf16 THREADS".into());
    };
    let threads: u16 = threads.parse()?;
    tch::set_num_threads(i32::from(threads));
    let settings = LoadSettings {
        target: Target {
            device: Device::Cpu,
            kind: if dtype == "bf16" { Kind::BFloat16 } else { Kind::Float },
        },
        threads: usize::from(threads),
        loras: Vec::new(),
        vae_tile: 1024,
        images_per_pass: 1,
        scheduler: None,
    };
    let pipeline = Pipeline::open(&PathBuf::from(directory), &settings)?;
    for line in stdin().lock().lines() {
        let order: Order = serde_json::from_str(&line?)?;
        let seconds = run(&pipeline, &order)?;
        println!(
            "{}",
            serde_json::json!({"seconds": seconds, "peak_bytes": peak_bytes()})
        );
        stdout().flush()?;
    }
    Ok(())
}

/// Seconds that the order took.
fn run(pipeline: &Pipeline, order: &Order) -> Result<f64, String> {
    let task = ImageTask {
        // Prompts are remembered: another for each order, as for a stranger's request.
        prompt: format!("a red circle above a blue square, number {}", order.seed),
        negative_prompt: None,
        height: order.side,
        width: order.side,
        steps: order.steps,
        guidance_scale: 7.5,
        scheduler: SchedulerKind::Ddim,
        init: None,
        loras: Vec::new(),
        truncate: true,
    };
    let start = Instant::now();
    let begun = pipeline.begin(&task, Box::new(Seeds(vec![order.seed])));
    let mut denoising = begun.map_err(|refusal| refusal.message)?;
    if order.work == "step" {
        let start = Instant::now();
        pipeline.advance(&mut [&mut denoising], &|| {});
        return Ok(start.elapsed().as_secs_f64());
    }
    while !denoising.is_done() {
        pipeline.advance(&mut [&mut denoising], &|| {});
    }
    drop(pipeline.decode(&denoising.latents(0)));
    Ok(start.elapsed().as_secs_f64())
}

/// The most memory that the process has had, where the system says.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or(0) * 1024
}
