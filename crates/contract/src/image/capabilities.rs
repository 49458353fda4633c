//! What a model that makes images can do.

use serde::{Deserialize, Serialize};

use super::request::{MAX_IMAGES, MAX_STEPS};
use crate::{ImageRequest, Invalid, MAX_IMAGE_SIDE};

/// What a model that makes images can do.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageCapabilities {
    /// What it honours beside prompt, size and number of images; no repeats.
    pub parameters: Vec<ImageParameter>,
    /// Width in pixels unless another is asked for.
    pub default_width: u32,
    /// Height in pixels unless another is asked for.
    pub default_height: u32,
    /// Shortest side in pixels, a multiple of `side_multiple`.
    pub min_side: u32,
    /// Longest side in pixels, a multiple of `side_multiple`.
    pub max_side: u32,
    /// Every side is a multiple of this many pixels; at least 1.
    pub side_multiple: u32,
    /// Most pixels of one image: width × height.
    pub max_pixels: u64,
    /// Most work of one request: width × height × steps × images.
    pub max_pixel_steps: u64,
    /// Denoise steps unless others are asked for; at least 1.
    pub default_steps: u32,
    /// Most denoise steps; at most [`MAX_STEPS`].
    pub max_steps: u32,
    /// Guidance unless another is asked for; `None`: the model isn't guided.
    pub default_guidance_scale: Option<f32>,
    /// Strength unless another is asked for, over 0 to 1; present exactly if it honours `strength`.
    pub default_strength: Option<f32>,
    /// Names as of diffusers' classes, `EulerDiscreteScheduler`; the first is the model's own. At least one.
    pub schedulers: Vec<String>,
    /// Names of what a request may mix in; none unless it honours `loras`.
    pub loras: Vec<String>,
    /// Most images of one request; 1 to [`MAX_IMAGES`].
    pub max_images: u32,
    /// Longest prompt in tokens, special tokens included; at least 1.
    pub context_length: u32,
}

/// What of an image request a model honours; the host refuses the others by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageParameter {
    /// `negative_prompt`.
    NegativePrompt,
    /// `guidance_scale`.
    GuidanceScale,
    /// Other `steps` than the default.
    Steps,
    /// `seed`: equal seeds give equal images.
    Seed,
    /// `scheduler`.
    Scheduler,
    /// Images made from an image.
    Image,
    /// Parts of an image painted anew.
    Mask,
    /// `strength`.
    Strength,
    /// Previews of what is being made.
    Previews,
    /// `loras`.
    Lora,
}

// === impl ImageCapabilities ===

impl ImageCapabilities {
    /// Checks what the types alone don't hold.
    ///
    /// # Errors
    /// The first field that breaks the contract.
    pub fn validate(&self) -> Result<(), Invalid> {
        let repeated = |(i, parameter)| self.parameters[..i].contains(parameter);
        if self.parameters.iter().enumerate().any(repeated) {
            return Err(Invalid::new("image.parameters", "names one twice"));
        }
        let needs_image = [ImageParameter::Mask, ImageParameter::Strength];
        if !self.honours(ImageParameter::Image) && needs_image.iter().any(|&parameter| self.honours(parameter)) {
            return Err(Invalid::new(
                "image.parameters",
                "names a mask or a strength, but no image",
            ));
        }
        self.validate_size()?;
        self.validate_work()?;
        self.validate_defaults()?;
        if !(1..=MAX_IMAGES as u32).contains(&self.max_images) {
            let problem = format!("is {}; it is 1 to {MAX_IMAGES}", self.max_images);
            return Err(Invalid::new("image.max_images", problem));
        }
        if self.context_length == 0 {
            return Err(Invalid::new("image.context_length", "is 0; it is at least 1"));
        }
        Ok(())
    }

    fn validate_size(&self) -> Result<(), Invalid> {
        if self.side_multiple == 0 {
            return Err(Invalid::new("image.side_multiple", "is 0; it is at least 1"));
        }
        for (field, side) in [
            ("image.min_side", self.min_side),
            ("image.max_side", self.max_side),
            ("image.default_width", self.default_width),
            ("image.default_height", self.default_height),
        ] {
            let fits = (self.min_side..=self.max_side).contains(&side) && (1..=MAX_IMAGE_SIDE).contains(&side);
            if !fits || side % self.side_multiple != 0 {
                let problem = format!(
                    "is {side} pixels; a side is a multiple of {} from {} to {}",
                    self.side_multiple, self.min_side, self.max_side
                );
                return Err(Invalid::new(field, problem));
            }
        }
        Ok(())
    }

    fn validate_work(&self) -> Result<(), Invalid> {
        if !(1..=MAX_STEPS).contains(&self.max_steps) {
            let problem = format!("is {}; it is 1 to {MAX_STEPS}", self.max_steps);
            return Err(Invalid::new("image.max_steps", problem));
        }
        if !(1..=self.max_steps).contains(&self.default_steps) {
            let problem = format!("is {}; it is 1 to {}", self.default_steps, self.max_steps);
            return Err(Invalid::new("image.default_steps", problem));
        }
        let pixels = u64::from(self.default_width) * u64::from(self.default_height);
        if pixels > self.max_pixels {
            return Err(Invalid::new("image.max_pixels", "is less than an image has by default"));
        }
        if pixels * u64::from(self.default_steps) > self.max_pixel_steps {
            return Err(Invalid::new(
                "image.max_pixel_steps",
                "is less than an image takes by default",
            ));
        }
        Ok(())
    }

    fn validate_defaults(&self) -> Result<(), Invalid> {
        if self.default_guidance_scale.is_some_and(|scale| !scale.is_finite()) {
            return Err(Invalid::new("image.default_guidance_scale", "is not finite"));
        }
        if self.honours(ImageParameter::Strength) != self.default_strength.is_some() {
            return Err(Invalid::new(
                "image.default_strength",
                "is present exactly if strength is honoured",
            ));
        }
        if self.default_strength.is_some_and(|s| !(s > 0.0 && s <= 1.0)) {
            return Err(Invalid::new("image.default_strength", "is not over 0 to 1"));
        }
        if self.schedulers.is_empty() || has_empty_or_repeated(&self.schedulers) {
            return Err(Invalid::new(
                "image.schedulers",
                "is empty, or has an empty name, or one twice",
            ));
        }
        if !self.loras.is_empty() && !self.honours(ImageParameter::Lora) {
            return Err(Invalid::new("image.loras", "has names, but they are not honoured"));
        }
        if has_empty_or_repeated(&self.loras) {
            return Err(Invalid::new("image.loras", "has an empty name, or one twice"));
        }
        Ok(())
    }

    /// True if the model honours this.
    pub fn honours(&self, parameter: ImageParameter) -> bool {
        self.parameters.contains(&parameter)
    }

    /// Checks that a request asks for nothing that the model doesn't list.
    ///
    /// # Errors
    /// The first field that does.
    pub fn check(&self, request: &ImageRequest) -> Result<(), Invalid> {
        super::check::check(request, self)
    }
}

fn has_empty_or_repeated(names: &[String]) -> bool {
    let mut names = names.iter().enumerate().map(|(i, name)| (&names[..i], name));
    names.any(|(before, name)| name.is_empty() || before.contains(name))
}
