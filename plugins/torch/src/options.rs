//! The plugin's own options in the registry: raw as written, and validated.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{LoraFile, error::LoadError, schedulers::SchedulerKind};

/// Calls under way unless `max_calls` says otherwise.
const MAX_CALLS: u32 = 8;
/// Images in one pass of the UNet, on a GPU.
const IMAGES_PER_PASS: u32 = 8;
/// diffusers' own default.
const STRENGTH: f32 = 0.8;
/// Longest side in pixels that the autoencoder does at once.
const VAE_TILE: u32 = 1024;
/// Most steps and images.
const MAX_STEPS: u32 = 150;
const MAX_IMAGES: u32 = 10;
/// Longest side.
const MAX_SIDE: u32 = 2048;
/// Largest image, in images of the model's own size.
const MAX_AREAS: u64 = 4;
/// Largest request, in images of the model's own size with 50 steps.
const MAX_WORK: u64 = 40;

/// `[model.options]` of a registry entry.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RawOptions {
    /// Calls that may be under way; they advance together, step by step. 8 by default.
    #[schemars(range(min = 1, max = 256))]
    max_calls: Option<u32>,
    /// Most images in one pass of the network; 8 by default on a GPU. On a CPU it is 1, which makes an image bit for bit
    /// the same in whatever company.
    #[schemars(range(min = 1, max = 256))]
    images_per_pass: Option<u32>,
    /// The sampler that is used unless a request names another, by diffusers' name; by default the model's own.
    scheduler: Option<String>,
    /// Steps unless a request says otherwise; by default what the pipeline's class has.
    #[schemars(range(min = 1))]
    default_steps: Option<u32>,
    /// Guidance scale unless a request says otherwise; by default what the pipeline's class has. 0 for turbo models.
    default_guidance_scale: Option<f32>,
    /// Strength unless a request says otherwise; 0.8 by default.
    default_strength: Option<f32>,
    /// Most steps of a request; 150 by default.
    #[schemars(range(min = 1, max = 1000))]
    max_steps: Option<u32>,
    /// Most images of a request; 10 by default.
    #[schemars(range(min = 1, max = 64))]
    max_images: Option<u32>,
    /// Longest side of an image in pixels; 2048 by default.
    #[schemars(range(min = 1, max = 8192))]
    max_side: Option<u32>,
    /// Most pixels of an image; by default four times those of the model's own size.
    max_pixels: Option<u64>,
    /// Most pixels times steps times images of a request; by default those of 40 images of the model's own size in 50
    /// steps.
    max_pixel_steps: Option<u64>,
    /// Images with a longer side go through the autoencoder in tiles of this many pixels; 1024 by default.
    #[schemars(range(min = 64, max = 8192))]
    vae_tile: Option<u32>,
    /// Adapters that a request may mix in: names, and safetensors files, relative to the model's directory or absolute.
    loras: BTreeMap<String, String>,
}

/// Options that have been checked.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) max_calls: u32,
    /// `None`: as the device says.
    pub(crate) images_per_pass: Option<u32>,
    pub(crate) scheduler: Option<SchedulerKind>,
    /// `None`: the pipeline's.
    pub(crate) default_steps: Option<u32>,
    pub(crate) default_guidance_scale: Option<f32>,
    pub(crate) default_strength: f32,
    pub(crate) max_steps: u32,
    pub(crate) max_images: u32,
    pub(crate) max_side: u32,
    pub(crate) max_pixels: Option<u64>,
    pub(crate) max_pixel_steps: Option<u64>,
    pub(crate) vae_tile: u32,
    pub(crate) loras: Vec<LoraFile>,
}

// === impl RawOptions ===

impl RawOptions {
    /// JSON Schema of the options.
    pub(crate) fn schema() -> Value {
        schemars::schema_for!(Self).to_value()
    }
}

// === impl Options ===

impl Options {
    /// Checks what the registry says.
    ///
    /// # Errors
    /// [`LoadError::Request`] for unknown keys and values out of range.
    pub(crate) fn parse(options: &Map<String, Value>) -> Result<Self, LoadError> {
        let raw: RawOptions = serde_json::from_value(Value::Object(options.clone()))
            .map_err(|error| LoadError::Request(format!("options: {error}")))?;
        let scheduler = raw.scheduler.as_deref().map(|class| {
            let known = || {
                SchedulerKind::all()
                    .map(SchedulerKind::class)
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            let unknown = || LoadError::Request(format!("options: scheduler is {class}; this plugin has {}", known()));
            SchedulerKind::parse(class).ok_or_else(unknown)
        });
        let strength = raw.default_strength.unwrap_or(STRENGTH);
        if !(strength > 0.0 && strength <= 1.0) {
            return Err(LoadError::Request(format!(
                "options: default_strength is {strength}; it is over 0 to 1"
            )));
        }
        if raw.default_guidance_scale.is_some_and(|scale| !scale.is_finite()) {
            return Err(LoadError::Request(
                "options: default_guidance_scale is not finite".to_owned(),
            ));
        }
        if raw.loras.keys().any(String::is_empty) {
            return Err(LoadError::Request("options: loras has a nameless one".to_owned()));
        }
        let loras = raw.loras.into_iter().map(|(name, path)| LoraFile { name, path });
        Ok(Self {
            max_calls: within("max_calls", raw.max_calls, MAX_CALLS, 1..=256)?,
            images_per_pass: match raw.images_per_pass {
                Some(images) => Some(within("images_per_pass", Some(images), 1, 1..=256)?),
                None => None,
            },
            scheduler: scheduler.transpose()?,
            default_steps: raw.default_steps,
            default_guidance_scale: raw.default_guidance_scale,
            default_strength: strength,
            max_steps: within("max_steps", raw.max_steps, MAX_STEPS, 1..=1000)?,
            max_images: within("max_images", raw.max_images, MAX_IMAGES, 1..=64)?,
            max_side: within("max_side", raw.max_side, MAX_SIDE, 1..=8192)?,
            max_pixels: raw.max_pixels,
            max_pixel_steps: raw.max_pixel_steps,
            vae_tile: within("vae_tile", raw.vae_tile, VAE_TILE, 64..=8192)?,
            loras: loras.collect(),
        })
    }

    /// Most images in one pass of the UNet.
    pub(crate) fn images_per_pass(&self, on_gpu: bool) -> u32 {
        self.images_per_pass.unwrap_or(if on_gpu { IMAGES_PER_PASS } else { 1 })
    }

    /// Most pixels of an image, and most pixels times steps times images of a request, where an image of the model's own
    /// size has `area` pixels.
    pub(crate) fn work(&self, area: u64) -> (u64, u64) {
        (
            self.max_pixels.unwrap_or(MAX_AREAS * area),
            self.max_pixel_steps.unwrap_or(MAX_WORK * 50 * area),
        )
    }
}

fn within(
    name: &str,
    value: Option<u32>,
    default: u32,
    range: std::ops::RangeInclusive<u32>,
) -> Result<u32, LoadError> {
    let value = value.unwrap_or(default);
    match range.contains(&value) {
        true => Ok(value),
        false => {
            let (low, high) = range.into_inner();
            Err(LoadError::Request(format!(
                "options: {name} is {value}; use {low} to {high}"
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_and_bounds() {
        let parse = |json: &str| Options::parse(&serde_json::from_str(json).expect("valid JSON"));
        let options = parse("{}").expect("no options are fine");
        assert_eq!((options.images_per_pass(false), options.images_per_pass(true)), (1, 8));
        assert_eq!(options.work(512 * 512), (1 << 20, (40 * 50) << 18));
        let options = parse(r#"{"scheduler": "LCMScheduler", "loras": {"ink": "ink.safetensors"}}"#).expect("good");
        assert_eq!(options.scheduler, Some(SchedulerKind::Lcm));
        for (json, part) in [
            (r#"{"max_calls": 0}"#, "max_calls is 0"),
            (r#"{"scheduler": "Euler"}"#, "this plugin has DDIMScheduler"),
            (r#"{"default_strength": 0}"#, "default_strength"),
            (r#"{"steps": 3}"#, "unknown field `steps`"),
            (r#"{"vae_tile": 8}"#, "vae_tile is 8"),
            (r#"{"loras": {"": "x"}}"#, "nameless"),
        ] {
            let message = parse(json).expect_err(json).to_string();
            assert!(message.contains(part), "{json}: {message}");
        }
    }
}
