//! Images as OpenAI's clients read them, with what they were made with beside.

use sensorium_engine::{ImageRequest, ImageStarted};
use serde::Serialize;
use utoipa::ToSchema;

use super::output::Output;

/// The images of a request.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImagesReply {
    /// When they were made, in seconds of Unix time.
    #[schema(example = 1_790_000_000)]
    pub(crate) created: u64,
    /// The images; with `best_of` the best first.
    pub(crate) data: Vec<ImageObject>,
    /// What they are and were made with.
    #[serde(flatten)]
    pub(crate) about: About,
    /// What it took.
    pub(crate) usage: ImagesUsage,
    /// Id of the model that made them.
    #[schema(example = "shapes-diffusion")]
    pub(crate) model: String,
    /// What the model was given, whatever of it was asked for: the same again makes the same images.
    pub(crate) parameters: Parameters,
}

/// What all images of a request have in common.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct About {
    /// Always `opaque`.
    #[schema(example = "opaque")]
    pub(crate) background: &'static str,
    /// `png`, `jpeg` or `webp`.
    #[schema(example = "png")]
    pub(crate) output_format: &'static str,
    /// Always `auto`: steps are what quality is made of here.
    #[schema(example = "auto")]
    pub(crate) quality: &'static str,
    /// Width and height in pixels.
    #[schema(example = "128x128")]
    pub(crate) size: String,
}

/// One image.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImageObject {
    /// The file in base64, unless a link was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "iVBORw0KGgo…")]
    pub(crate) b64_json: Option<String>,
    /// Where the file can be had for a while, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "http://127.0.0.1:8080/v1/images/files/0f8f….png")]
    pub(crate) url: Option<String>,
    /// The seed that it was made from: the same, alone, makes the same image.
    #[schema(example = 7)]
    pub(crate) seed: u64,
    /// With `best_of`: the cosine of image and prompt in the scoring model's space.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 0.31)]
    pub(crate) score: Option<f32>,
}

/// What a model was given beside prompt and seed.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Parameters {
    /// Denoise steps.
    #[schema(example = 20)]
    pub(crate) steps: u32,
    /// Weight of the prompt; `null` if the model isn't guided.
    #[schema(required, example = 7.5)]
    pub(crate) guidance_scale: Option<f32>,
    /// What is not to be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) negative_prompt: Option<String>,
    /// Named as of diffusers' classes.
    #[schema(example = "DPMSolverMultistepScheduler")]
    pub(crate) scheduler: String,
    /// How much of the image was noised away, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 0.8)]
    pub(crate) strength: Option<f32>,
    /// What was mixed into the weights.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub(crate) loras: Vec<LoraObject>,
}

/// One LoRA.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct LoraObject {
    /// One of the model's.
    #[schema(example = "ink")]
    pub(crate) name: String,
    /// Its factor.
    #[schema(example = 0.8)]
    pub(crate) weight: f32,
}

/// What a request took. Images are not counted in tokens here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ImagesUsage {
    /// Tokens of both prompts.
    #[schema(example = 9)]
    pub(crate) input_tokens: u64,
    /// Always 0.
    #[schema(example = 0)]
    pub(crate) output_tokens: u64,
    /// Both together.
    #[schema(example = 9)]
    pub(crate) total_tokens: u64,
    /// Of the input.
    pub(crate) input_tokens_details: ImagesInputDetails,
}

/// What the input was made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ImagesInputDetails {
    /// Tokens of both prompts.
    #[schema(example = 9)]
    pub(crate) text_tokens: u64,
    /// Always 0.
    #[schema(example = 0)]
    pub(crate) image_tokens: u64,
}

// === impl About ===

impl About {
    /// What is to be said of images of a size.
    pub(crate) fn new((width, height): (u32, u32), output: Output) -> Self {
        Self {
            background: "opaque",
            output_format: output.format.as_str(),
            quality: "auto",
            size: format!("{width}x{height}"),
        }
    }
}

// === impl Parameters ===

impl Parameters {
    /// What a request comes to with the model's own values in the place of what wasn't asked for.
    pub(crate) fn new(request: &ImageRequest, image: &sensorium_engine::ImageCapabilities) -> Self {
        let own = || image.schedulers.first().cloned().unwrap_or_default();
        let init = request.init.as_ref();
        Self {
            steps: request.steps,
            guidance_scale: request.guidance_scale.or(image.default_guidance_scale),
            negative_prompt: request.negative_prompt.clone(),
            scheduler: request.scheduler.clone().unwrap_or_else(own),
            strength: init.and_then(|init| init.strength.or(image.default_strength)),
            loras: request
                .loras
                .iter()
                .map(|lora| LoraObject {
                    name: lora.name.clone(),
                    weight: lora.weight,
                })
                .collect(),
        }
    }

    /// All of it in the words that pictures have carried since Stable Diffusion's first web page: prompt, negative
    /// prompt, then one line of `Name: value`.
    pub(crate) fn to_text(&self, prompt: &str, seed: u64, size: &str, model: &str) -> String {
        let mut text = prompt.to_owned();
        if let Some(negative) = &self.negative_prompt {
            text = format!("{text}\nNegative prompt: {negative}");
        }
        text = format!("{text}\nSteps: {}, Sampler: {}", self.steps, self.scheduler);
        if let Some(scale) = self.guidance_scale {
            text = format!("{text}, CFG scale: {scale}");
        }
        text = format!("{text}, Seed: {seed}, Size: {size}, Model: {model}");
        if let Some(strength) = self.strength {
            text = format!("{text}, Denoising strength: {strength}");
        }
        for lora in &self.loras {
            text = format!("{text}, Lora {}: {}", lora.name, lora.weight);
        }
        text
    }
}

// === impl ImagesUsage ===

impl From<ImageStarted> for ImagesUsage {
    fn from(started: ImageStarted) -> Self {
        let tokens = u64::from(started.prompt_tokens);
        Self {
            input_tokens: tokens,
            output_tokens: 0,
            total_tokens: tokens,
            input_tokens_details: ImagesInputDetails {
                text_tokens: tokens,
                image_tokens: 0,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_beside_a_picture() {
        let mut parameters = Parameters {
            steps: 20,
            guidance_scale: None,
            negative_prompt: None,
            scheduler: "DDIMScheduler".into(),
            strength: None,
            loras: vec![],
        };
        assert_eq!(
            parameters.to_text("a star", 7, "8x16", "m"),
            "a star\nSteps: 20, Sampler: DDIMScheduler, Seed: 7, Size: 8x16, Model: m"
        );
        parameters.guidance_scale = Some(7.5);
        parameters.negative_prompt = Some("blur".into());
        parameters.strength = Some(0.5);
        parameters.loras.push(LoraObject {
            name: "ink".into(),
            weight: 0.8,
        });
        assert_eq!(
            parameters.to_text("a star", 7, "8x16", "m"),
            "a star\nNegative prompt: blur\nSteps: 20, Sampler: DDIMScheduler, CFG scale: 7.5, Seed: 7, Size: 8x16, \
             Model: m, Denoising strength: 0.5, Lora ink: 0.8"
        );
    }
}
