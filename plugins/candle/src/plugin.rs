//! The plugin: what it is, and how it loads a model.

use sensorium_contract::{
    Batching, Capabilities, LoadProgress, LoadRequest, LoadedModel, Manifest, PROTOCOL, Plugin, PluginError, Task,
};
use sensorium_kernels::Tier;

use crate::{
    checkpoint::ModelDir,
    config::ARCHITECTURES,
    embedder::Embedder,
    error::LoadError,
    model,
    nn::Compute,
    options::{Options, RawOptions},
    placement::{self, Placement},
};

/// Embeds texts and images with candle.
#[derive(Debug, Default)]
pub struct CandlePlugin;

impl Plugin for CandlePlugin {
    fn manifest(&self) -> Manifest {
        Manifest {
            name: "candle".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: PROTOCOL,
            tasks: vec![Task::Embed],
            devices: placement::devices(),
            network: false,
            options_schema: Some(RawOptions::schema()),
            architectures: ARCHITECTURES.map(str::to_owned).to_vec(),
        }
    }

    fn load(&self, request: &LoadRequest, progress: &dyn Fn(LoadProgress)) -> Result<LoadedModel, PluginError> {
        Ok(load(request, progress)?)
    }
}

/// What a packed weight takes in memory: the CPU keeps bf16 only where it can multiply it.
fn bytes_per_weight(compute: &Compute) -> u64 {
    match compute.device.is_cpu() {
        true if compute.tier() == Tier::Avx512Bf16 => 2,
        true => 4,
        false => compute.dtype.size_in_bytes() as u64,
    }
}

fn load(request: &LoadRequest, progress: &dyn Fn(LoadProgress)) -> Result<LoadedModel, LoadError> {
    let options = Options::parse(&request.options)?;
    let Placement { compute, device, dtype } = Placement::resolve(&request.device, &request.dtype, request.threads)?;
    let path = request.path.as_deref();
    let path = path.ok_or_else(|| LoadError::Request("this plugin needs a model directory; give source".to_owned()))?;
    let dir = ModelDir::open(path)?;
    // What makes results, besides the files, makes the revision too.
    let kind = if compute.device.is_cpu() { "cpu" } else { "gpu" };
    let settings = format!("{} {kind} {dtype} {options:?}", env!("CARGO_PKG_VERSION"));
    dir.mark("settings", settings.as_bytes());

    let model = model::load(&dir, &options, &compute, progress)?;
    let capabilities = Capabilities {
        revision: dir.revision(),
        memory_bytes: model.parameters * bytes_per_weight(&compute),
        batching: Batching::Host,
        max_batch: options.max_batch,
        device,
        dtype: dtype.to_owned(),
        embed: Some(model.capabilities.clone()),
        chat: None,
        image: None,
    };
    let mut embedder = Embedder::new(model, &compute);
    progress(LoadProgress {
        stage: "warm-up".to_owned(),
        done: 0,
        total: 1,
    });
    embedder.warm_up()?;
    progress(LoadProgress {
        stage: "warm-up".to_owned(),
        done: 1,
        total: 1,
    });
    tracing::info!(
        model = request.model,
        device = capabilities.device,
        dtype,
        threads = compute.threads,
        memory_bytes = capabilities.memory_bytes,
        revision = capabilities.revision,
        "model loaded"
    );
    Ok(LoadedModel {
        capabilities,
        embed: Some(Box::new(embedder)),
        chat: None,
        image: None,
    })
}
