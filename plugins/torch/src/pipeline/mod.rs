//! A loaded pipeline: from a task to latents, step by step, to pixels. It knows nothing of calls or of the host.

mod advance;
mod begin;
mod denoising;
mod load;
mod pixels;
mod prompt;
mod task;

pub use denoising::Denoising;
pub use load::LoadSettings;
pub use pixels::{from_mask, from_rgb, to_rgb};
pub use task::{ImageTask, InitTask, NoiseSource, Refusal, Seeds};

use std::cell::RefCell;

use serde_json::{Map, Value};
use tch::{Device, Tensor};

use crate::{
    checkpoint::Target,
    config::{PipelineIndex, UnetConfig, VaeConfig},
    lora::ActiveLoras,
    memory,
    schedulers::{SchedulerConfig, SchedulerKind},
    text_encoder::TextEncoder,
    tokenizer::PromptTokenizer,
    unet::Unet,
    vae::Vae,
};
use prompt::PromptCache;

/// Numbers of latents from which on decoding them takes more memory than a step: those of 512 × 512 pixels, mostly.
const LARGE: usize = 4 * 64 * 64;

/// The networks of a diffusion model and what they are to be given. One thread owns it.
pub struct Pipeline {
    index: PipelineIndex,
    /// One or two, each with its tokenizer.
    encoders: Vec<(PromptTokenizer, TextEncoder)>,
    unet: Unet,
    unet_config: UnetConfig,
    vae: Vae,
    vae_config: VaeConfig,
    /// Where the UNet and the text encoders compute; latents between steps are f32.
    target: Target,
    /// Where the autoencoder does.
    vae_target: Target,
    scheduler: SchedulerConfig,
    scheduler_fields: Map<String, Value>,
    loras: Vec<String>,
    active_loras: ActiveLoras,
    prompts: RefCell<PromptCache>,
    /// Most images in one pass of the UNet.
    images_per_pass: usize,
    weight_bytes: u64,
}

// === impl Pipeline ===

impl Pipeline {
    /// The model's own sampler.
    pub fn scheduler(&self) -> SchedulerKind {
        self.scheduler.kind
    }

    /// All samplers that can be asked for, the model's own first.
    pub fn schedulers(&self) -> Vec<SchedulerKind> {
        let others =
            SchedulerKind::all().filter(|kind| *kind != self.scheduler.kind && self.scheduler_of(*kind).is_ok());
        [self.scheduler.kind].into_iter().chain(others).collect()
    }

    /// Guidance scale and steps unless a request says otherwise.
    pub fn defaults(&self) -> (f32, u32) {
        self.index.defaults
    }

    /// Height and width that the model was trained for, in pixels.
    pub fn native_size(&self) -> [i64; 2] {
        let latents = self.unet_config.sample_size.unwrap_or([64, 64]);
        latents.map(|side| side * self.vae_config.reduction())
    }

    /// Sides are multiples of this many pixels, and at least the second number.
    pub fn side_steps(&self) -> (i64, i64) {
        let multiple = self.vae_config.reduction();
        let native = self.native_size();
        let least = multiple * self.unet_config.reduction();
        (multiple, least.min(native[0]).min(native[1]))
    }

    /// Most denoise steps that make sense: training's.
    pub fn max_steps(&self) -> usize {
        self.scheduler.num_train_timesteps
    }

    /// Names of the adapters that can be mixed in.
    pub fn loras(&self) -> &[String] {
        &self.loras
    }

    /// Longest prompt in tokens, special tokens included.
    pub fn context_length(&self) -> usize {
        self.encoders
            .iter()
            .map(|(tokenizer, _)| tokenizer.length())
            .min()
            .unwrap_or(0)
    }

    /// Guidance is embedded and takes no second pass, so that a negative prompt would change nothing.
    pub fn embeds_guidance(&self) -> bool {
        self.unet_config.guidance_embedding.is_some()
    }

    /// Most images in one pass of the UNet.
    pub fn images_per_pass(&self) -> usize {
        self.images_per_pass
    }

    /// Bytes that all weights take.
    pub fn weight_bytes(&self) -> u64 {
        self.weight_bytes
    }

    /// The network that denoises.
    pub fn unet(&self) -> &Unet {
        &self.unet
    }

    /// The network between pixels and latents.
    pub fn vae(&self) -> &Vae {
        &self.vae
    }

    /// The text encoders, one or two.
    pub fn text_encoders(&self) -> impl Iterator<Item = &TextEncoder> {
        self.encoders.iter().map(|(_, encoder)| encoder)
    }

    /// What each text encoder reads of a text, `[1, tokens]` of i64.
    ///
    /// # Errors
    /// If the text can't be read.
    pub fn tokenize(&self, text: &str) -> Result<Vec<Tensor>, String> {
        let read = self.encoders.iter().map(|(tokenizer, _)| tokenizer.encode(text));
        read.map(|tokens| Ok(Tensor::from_slice(&tokens?.ids).unsqueeze(0)))
            .collect()
    }

    /// Latents of one or more images to 8-bit pixels on the CPU, `[b, h, w, 3]`.
    pub fn decode(&self, latents: &Tensor) -> Tensor {
        tch::no_grad(|| {
            let latents = self.vae.unscale(latents).to_kind(self.vae_target.kind);
            // The decoder of a large image takes more memory than a step does, in blocks of other sizes.
            let large = self.vae_target.device == Device::Cpu && latents.numel() >= LARGE;
            let _sparing = large.then(memory::Sparing::begin);
            pixels::to_rgb(&self.vae.decode(&latents))
        })
    }

    /// The sampler of that class with the fields of the model's own.
    pub(crate) fn scheduler_of(&self, kind: SchedulerKind) -> Result<SchedulerConfig, crate::LoadError> {
        load::scheduler(kind, &self.index, &self.scheduler_fields)
    }
}
