//! A pipeline from its directory.

use std::path::Path;

use sensorium_contract::LoadProgress;
use serde_json::{Map, Value};
use tch::Kind;

use super::{Pipeline, prompt::PromptCache};
use crate::{
    checkpoint::{ModelDir, Target, Weights},
    config::{ClipTextConfig, Family, PipelineIndex, UnetConfig, VaeConfig},
    error::LoadError,
    lora::{LoraFile, Loras},
    memory,
    nn::kernels,
    schedulers::{SchedulerConfig, SchedulerKind},
    text_encoder::TextEncoder,
    tokenizer::PromptTokenizer,
    unet::Unet,
    vae::Vae,
};

/// How a pipeline is loaded.
#[derive(Debug, Clone)]
pub struct LoadSettings {
    /// Where it computes, and in what precision.
    pub target: Target,
    /// Threads of our own kernels; libtorch has its own number.
    pub threads: usize,
    /// Adapters to read with it.
    pub loras: Vec<LoraFile>,
    /// Longest side in pixels that the autoencoder does at once.
    pub vae_tile: i64,
    /// Most images in one pass of the UNet.
    pub images_per_pass: usize,
    /// The sampler that is used unless a request names another; `None`: the model's own.
    pub scheduler: Option<SchedulerKind>,
}

/// File names of the weights, without ending: diffusers' and transformers'.
const DIFFUSERS: &str = "diffusion_pytorch_model";
const TRANSFORMERS: &str = "model";

// === impl Pipeline ===

impl Pipeline {
    /// Reads the pipeline in a directory.
    ///
    /// # Errors
    /// If there is none, a part is missing, isn't supported, or doesn't fit the others.
    pub fn open(path: &Path, settings: &LoadSettings) -> Result<Self, LoadError> {
        Self::load(&ModelDir::open(path)?, settings, &|_| {})
    }

    /// Reads all parts that `model_index.json` lists.
    ///
    /// # Errors
    /// If a part is missing, isn't supported, or doesn't fit the others.
    pub(crate) fn load(
        dir: &ModelDir,
        settings: &LoadSettings,
        progress: &dyn Fn(LoadProgress),
    ) -> Result<Self, LoadError> {
        let index = PipelineIndex::load(dir)?;
        let target = settings.target;
        let cpu = kernels(target, settings.threads)?;
        let cpu = cpu.as_ref();
        let loras = Loras::open(dir, &settings.loras)?;
        let fields: Map<String, Value> = dir.require_json("scheduler/scheduler_config.json")?;
        let own = scheduler_kind(dir, &index)?;
        let kind = settings.scheduler.unwrap_or(own);
        let scheduler = scheduler(kind, &index, &fields)?;

        let mut weight_bytes = 0;
        let names: &[(&str, &str, bool)] = match index.family {
            Family::StableDiffusion => &[("tokenizer", "text_encoder", false)],
            Family::Xl => &[
                ("tokenizer", "text_encoder", false),
                ("tokenizer_2", "text_encoder_2", true),
            ],
        };
        let (mut encoders, mut context) = (Vec::new(), 0);
        for &(tokenizer, component, projects) in names {
            let encoder_dir = dir.sub(component)?;
            let config = ClipTextConfig::load(&encoder_dir, projects)?;
            let tokenizer = PromptTokenizer::load(&dir.sub(tokenizer)?, config.vocabulary, config.positions)?;
            let weights = Weights::open(&encoder_dir, TRANSFORMERS, target, progress)?.computed_by(cpu);
            let component = if projects { "text_encoder_2" } else { "text_encoder" };
            encoders.push((tokenizer, TextEncoder::load(&weights, &loras, component, &config)?));
            weight_bytes += weights.bytes();
            context += config.width;
        }
        let unet_dir = dir.sub("unet")?;
        let unet_config = UnetConfig::load(&unet_dir)?;
        let vae_dir = dir.sub("vae")?;
        let vae_config = VaeConfig::load(&vae_dir)?;
        check_fit(dir, &index, context, &unet_config, &vae_config)?;

        let weights = Weights::open(&unet_dir, DIFFUSERS, target, progress)?.computed_by(cpu);
        let unet = Unet::load(&weights, &loras, unet_config.clone())?;
        weight_bytes += weights.bytes();
        loras.finish()?;
        let vae_target = match target.kind == Kind::Half && vae_config.force_upcast {
            true => Target {
                kind: Kind::Float,
                ..target
            },
            false => target,
        };
        let weights = Weights::open(&vae_dir, DIFFUSERS, vae_target, progress)?.computed_by(cpu);
        let vae = Vae::load(&weights, vae_config.clone(), settings.vae_tile)?;
        weight_bytes += weights.bytes();
        if index.safety_checker {
            tracing::warn!("the pipeline's safety checker is not run");
        }
        memory::give_back();
        Ok(Self {
            index,
            encoders,
            unet,
            unet_config,
            vae,
            vae_config,
            target,
            vae_target,
            scheduler,
            scheduler_fields: fields,
            loras: loras.names().to_vec(),
            active_loras: loras.active(),
            prompts: PromptCache::default().into(),
            images_per_pass: settings.images_per_pass.max(1),
            weight_bytes,
        })
    }
}

fn scheduler_kind(dir: &ModelDir, index: &PipelineIndex) -> Result<SchedulerKind, LoadError> {
    SchedulerKind::parse(&index.scheduler).ok_or_else(|| {
        let known: Vec<&str> = SchedulerKind::all().map(SchedulerKind::class).collect();
        let problem = format!(
            "scheduler is a {}; this plugin has {}",
            index.scheduler,
            known.join(", ")
        );
        LoadError::file(dir.label("model_index.json"), problem)
    })
}

/// A sampler with the fields of the model's `scheduler_config.json`.
pub(super) fn scheduler(
    kind: SchedulerKind,
    index: &PipelineIndex,
    fields: &Map<String, Value>,
) -> Result<SchedulerConfig, LoadError> {
    let latent = index.family == Family::StableDiffusion;
    SchedulerConfig::new(kind, "scheduler/scheduler_config.json", fields, latent)
}

/// The parts were made for one another.
fn check_fit(
    dir: &ModelDir,
    index: &PipelineIndex,
    context: i64,
    unet: &UnetConfig,
    vae: &VaeConfig,
) -> Result<(), LoadError> {
    let fail = |problem: String| Err(LoadError::file(dir.label("unet/config.json"), problem));
    let latents = vae.latent_channels;
    if unet.context != context {
        return fail(format!(
            "cross_attention_dim is {}; the text encoders give {context}",
            unet.context
        ));
    }
    if unet.out_channels != latents {
        return fail(format!(
            "out_channels is {}; the vae has {latents} latent_channels",
            unet.out_channels
        ));
    }
    if unet.in_channels != latents && unet.in_channels != 2 * latents + 1 {
        let problem = format!(
            "in_channels is {}; {latents} are supported, and {} for inpainting",
            unet.in_channels,
            2 * latents + 1
        );
        return fail(problem);
    }
    match (index.family, unet.added) {
        (Family::Xl, None) => fail("addition_embed_type is missing; an SDXL pipeline needs text_time".to_owned()),
        (Family::StableDiffusion, Some(_)) => {
            fail("addition_embed_type is text_time, which this pipeline has no second text encoder for".to_owned())
        }
        _ => Ok(()),
    }
}
