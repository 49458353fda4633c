//! What a stub that makes images may be told in the registry.

use std::time::Duration;

use schemars::JsonSchema;
use sensorium_contract::{ImageCapabilities, ImageParameter};
use serde::{Deserialize, Serialize};

use crate::options::duration;

/// Options of a stub that makes images; all have defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ImageOptions {
    /// Side of the square that is made unless another size is asked for, in pixels.
    pub(crate) default_side: u32,
    /// Shortest side in pixels.
    pub(crate) min_side: u32,
    /// Longest side in pixels.
    pub(crate) max_side: u32,
    /// Every side is a multiple of this.
    pub(crate) side_multiple: u32,
    /// Most pixels of one image.
    pub(crate) max_pixels: u64,
    /// Most pixels times steps times images of one request.
    pub(crate) max_pixel_steps: u64,
    /// Denoise steps unless others are asked for.
    pub(crate) default_steps: u32,
    /// Most denoise steps.
    pub(crate) max_steps: u32,
    /// Names of schedulers; the first is its own.
    pub(crate) schedulers: Vec<String>,
    /// Names of what may be mixed in.
    pub(crate) loras: Vec<String>,
    /// Most images of one request.
    pub(crate) max_images: u32,
    /// Longest prompt: words, and two special tokens.
    pub(crate) context_length: u32,
    /// What it honours, as `seed` or `mask`. Absent: everything.
    #[schemars(with = "Option<Vec<String>>")]
    pub(crate) parameters: Option<Vec<ImageParameter>>,
    /// What reading the prompts takes, as `20ms`.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub(crate) prompt_latency: Duration,
    /// What each denoise step takes, as `5ms`.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub(crate) step_latency: Duration,
    /// What decoding each image takes, as `5ms`.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub(crate) decode_latency: Duration,
}

/// All that there is to honour.
const EVERYTHING: [ImageParameter; 10] = [
    ImageParameter::NegativePrompt,
    ImageParameter::GuidanceScale,
    ImageParameter::Steps,
    ImageParameter::Seed,
    ImageParameter::Scheduler,
    ImageParameter::Image,
    ImageParameter::Mask,
    ImageParameter::Strength,
    ImageParameter::Previews,
    ImageParameter::Lora,
];

/// Guidance unless another is asked for, as of Stable Diffusion.
const GUIDANCE_SCALE: f32 = 7.5;

/// Strength unless another is asked for, as of diffusers.
pub(super) const STRENGTH: f32 = 0.8;

// === impl ImageOptions ===

impl Default for ImageOptions {
    fn default() -> Self {
        Self {
            default_side: 64,
            min_side: 16,
            max_side: 2048,
            side_multiple: 8,
            max_pixels: 2048 * 1024,
            max_pixel_steps: 2048 * 1024 * 100,
            default_steps: 20,
            max_steps: 100,
            schedulers: vec![
                "PNDMScheduler".into(),
                "EulerDiscreteScheduler".into(),
                "DDIMScheduler".into(),
            ],
            loras: vec!["ink".into(), "paper".into()],
            max_images: 16,
            context_length: 77,
            parameters: None,
            prompt_latency: Duration::ZERO,
            step_latency: Duration::ZERO,
            decode_latency: Duration::ZERO,
        }
    }
}

impl ImageOptions {
    pub(crate) fn capabilities(&self) -> ImageCapabilities {
        let parameters = self.parameters.clone().unwrap_or_else(|| EVERYTHING.to_vec());
        let honours = |parameter| parameters.contains(&parameter);
        ImageCapabilities {
            default_width: self.default_side,
            default_height: self.default_side,
            min_side: self.min_side,
            max_side: self.max_side,
            side_multiple: self.side_multiple,
            max_pixels: self.max_pixels,
            max_pixel_steps: self.max_pixel_steps,
            default_steps: self.default_steps,
            max_steps: self.max_steps,
            default_guidance_scale: honours(ImageParameter::GuidanceScale).then_some(GUIDANCE_SCALE),
            default_strength: honours(ImageParameter::Strength).then_some(STRENGTH),
            schedulers: self.schedulers.clone(),
            loras: if honours(ImageParameter::Lora) {
                self.loras.clone()
            } else {
                Vec::new()
            },
            max_images: self.max_images,
            context_length: self.context_length,
            parameters,
        }
    }
}
