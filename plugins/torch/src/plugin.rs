//! The plugin: what it is, and how it loads a model.

use std::sync::Arc;

use sensorium_contract::{
    Batching, Capabilities, ImageCapabilities, ImageParameter, LoadProgress, LoadRequest, LoadedModel, Manifest,
    PROTOCOL, Plugin, PluginError, Task,
};

use crate::{
    checkpoint::ModelDir,
    config::PIPELINES,
    error::LoadError,
    options::{Options, RawOptions},
    pipeline::{ImageTask, LoadSettings, Pipeline, Seeds},
    placement::{self, Placement},
    schedulers::SchedulerKind,
    worker::{Defaults, Worker},
};

/// Makes images with libtorch.
#[derive(Debug, Default)]
pub struct TorchPlugin;

impl Plugin for TorchPlugin {
    fn manifest(&self) -> Manifest {
        Manifest {
            name: "torch".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: PROTOCOL,
            tasks: vec![Task::Image],
            devices: placement::devices(),
            network: false,
            options_schema: Some(RawOptions::schema()),
            architectures: PIPELINES.map(str::to_owned).to_vec(),
        }
    }

    fn load(&self, request: &LoadRequest, progress: &dyn Fn(LoadProgress)) -> Result<LoadedModel, PluginError> {
        Ok(load(request, progress)?)
    }
}

fn load(request: &LoadRequest, progress: &dyn Fn(LoadProgress)) -> Result<LoadedModel, LoadError> {
    let options = Options::parse(&request.options)?;
    let placement = Placement::resolve(&request.device, &request.dtype)?;
    let path = request.path.as_deref();
    let path = path.ok_or_else(|| LoadError::Request("this plugin needs a model directory; give source".to_owned()))?;
    let dir = ModelDir::open(path)?;
    // What makes results, besides the files, makes the revision too.
    let kind = if placement.on_gpu() { "gpu" } else { "cpu" };
    let settings = format!("{} {kind} {} {options:?}", env!("CARGO_PKG_VERSION"), placement.dtype);
    dir.mark("settings", settings.as_bytes());
    let threads = threads(request.threads);
    tch::set_num_threads(threads);

    let settings = LoadSettings {
        target: placement.target,
        threads: threads as usize,
        loras: options.loras.clone(),
        vae_tile: i64::from(options.vae_tile),
        images_per_pass: options.images_per_pass(placement.on_gpu()) as usize,
        scheduler: options.scheduler,
    };
    let pipeline = Pipeline::load(&dir, &settings, progress)?;
    let image = capabilities(&pipeline, &options)?;
    warm_up(&pipeline, &image, progress)?;
    let capabilities = Capabilities {
        revision: dir.revision(),
        memory_bytes: pipeline.weight_bytes(),
        batching: Batching::Plugin,
        max_batch: options.max_calls,
        device: placement.device,
        dtype: placement.dtype.to_owned(),
        embed: None,
        chat: None,
        image: Some(image.clone()),
    };
    tracing::info!(
        model = request.model,
        device = capabilities.device,
        dtype = placement.dtype,
        threads,
        memory_bytes = capabilities.memory_bytes,
        revision = capabilities.revision,
        "model loaded"
    );
    let defaults = Defaults {
        guidance_scale: image.default_guidance_scale.unwrap_or(1.0),
        strength: options.default_strength,
    };
    let worker = Worker::start(pipeline, defaults, threads, options.max_calls as usize)
        .map_err(|error| LoadError::Process(format!("no thread to compute on: {error}")))?;
    Ok(LoadedModel {
        capabilities,
        embed: None,
        chat: None,
        image: Some(Arc::new(worker)),
    })
}

/// How many threads kernels use: as many as were asked for, or one for each core.
fn threads(wanted: Option<usize>) -> i32 {
    let all = || std::thread::available_parallelism().map_or(1, usize::from);
    wanted.unwrap_or_else(all).clamp(1, 1024) as i32
}

fn capabilities(pipeline: &Pipeline, options: &Options) -> Result<ImageCapabilities, LoadError> {
    use ImageParameter as Can;
    let mut parameters = vec![
        Can::NegativePrompt,
        Can::GuidanceScale,
        Can::Steps,
        Can::Seed,
        Can::Scheduler,
        Can::Image,
        Can::Mask,
        Can::Strength,
        Can::Previews,
    ];
    if pipeline.embeds_guidance() {
        parameters.retain(|parameter| *parameter != Can::NegativePrompt);
    }
    if !pipeline.loras().is_empty() {
        parameters.push(Can::Lora);
    }
    let [height, width] = pipeline.native_size().map(|side| side as u32);
    let (multiple, min_side) = pipeline.side_steps();
    let multiple = multiple as u32;
    let (guidance, steps) = pipeline.defaults();
    let max_steps = options.max_steps.min(pipeline.max_steps() as u32);
    let (max_pixels, max_pixel_steps) = options.work(u64::from(height) * u64::from(width));
    let image = ImageCapabilities {
        parameters,
        default_width: width,
        default_height: height,
        min_side: min_side as u32,
        max_side: (options.max_side / multiple * multiple).max(width).max(height),
        side_multiple: multiple,
        max_pixels,
        max_pixel_steps,
        default_steps: options.default_steps.unwrap_or(steps.min(max_steps)),
        max_steps,
        default_guidance_scale: Some(options.default_guidance_scale.unwrap_or(guidance)),
        default_strength: Some(options.default_strength),
        schedulers: pipeline
            .schedulers()
            .into_iter()
            .map(|kind| kind.class().to_owned())
            .collect(),
        loras: pipeline.loras().to_vec(),
        max_images: options.max_images,
        context_length: pipeline.context_length() as u32,
    };
    image
        .validate()
        .map_err(|invalid| LoadError::Request(format!("options: {invalid}")))?;
    Ok(image)
}

/// The smallest image there is, so that the first request doesn't wait for libraries to set themselves up.
fn warm_up(pipeline: &Pipeline, image: &ImageCapabilities, progress: &dyn Fn(LoadProgress)) -> Result<(), LoadError> {
    let step = |done| {
        progress(LoadProgress {
            stage: "warm-up".to_owned(),
            done,
            total: 1,
        });
    };
    step(0);
    let side = i64::from(image.min_side);
    let task = ImageTask {
        prompt: String::new(),
        negative_prompt: None,
        height: side,
        width: side,
        steps: 1,
        guidance_scale: f64::from(image.default_guidance_scale.unwrap_or(1.0)),
        scheduler: SchedulerKind::Euler,
        init: None,
        loras: Vec::new(),
        truncate: true,
    };
    // Another sampler than the model's own may not take its fields; then there is nothing to warm up with.
    if pipeline.schedulers().contains(&task.scheduler) {
        let begun = pipeline.begin(&task, Box::new(Seeds(vec![0])));
        let mut denoising = begun.map_err(|refusal| LoadError::Process(format!("warm-up: {}", refusal.message)))?;
        pipeline.advance(&mut [&mut denoising], &|| {});
        drop(pipeline.decode(&denoising.latents(0)));
    }
    step(1);
    Ok(())
}
