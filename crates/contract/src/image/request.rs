//! What is asked of a model that makes images.

use bytes::Bytes;

use crate::{Invalid, MAX_IMAGE_SIDE, RgbImage};

/// Most images of one request.
pub const MAX_IMAGES: usize = 64;

/// Most previews of each image.
pub const MAX_PREVIEWS: u32 = 16;

/// Most denoise steps of one image.
pub const MAX_STEPS: u32 = 10_000;

/// One request for images that differ in their seeds alone.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageRequest {
    /// What is to be seen.
    pub prompt: String,
    /// What is not; never empty.
    pub negative_prompt: Option<String>,
    /// Width of each image in pixels.
    pub width: u32,
    /// Height of each image in pixels.
    pub height: u32,
    /// Denoise steps; at least 1. With an image, the first (1 - strength) of them are left out.
    pub steps: u32,
    /// Weight of classifier-free guidance as diffusers counts it: 1 is none (Ho & Salimans 2022,
    /// <https://arxiv.org/abs/2207.12598>). `None`: the model's own.
    pub guidance_scale: Option<f32>,
    /// One for each image wanted; 1 to [`MAX_IMAGES`].
    pub seeds: Vec<u64>,
    /// One of the model's schedulers; `None`: its own.
    pub scheduler: Option<String>,
    /// The image that the new ones are made from; `None`: they are made from noise alone.
    pub init: Option<InitImage>,
    /// Decoded previews of each image, evenly spaced over its steps and before the last of them; at most
    /// [`MAX_PREVIEWS`]. Fewer steps give fewer previews.
    pub previews: u32,
    /// What is mixed into the weights; names don't repeat.
    pub loras: Vec<LoraWeight>,
    /// A prompt longer than the context: cut it as the model's tokenizer would, or refuse it.
    pub truncate: bool,
}

/// An image to begin with.
#[derive(Debug, Clone, PartialEq)]
pub struct InitImage {
    /// Pixels, of the size that is asked for.
    pub image: RgbImage,
    /// What of it is painted anew, of the same size; `None`: all of it.
    pub mask: Option<Mask>,
    /// How much of it is noised away, over 0 to 1 (SDEdit, Meng et al. 2021, <https://arxiv.org/abs/2108.01073>).
    /// `None`: the model's own.
    pub strength: Option<f32>,
}

/// One byte for each pixel, rows from top to bottom: 255 is painted anew, 0 is kept. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    width: u32,
    height: u32,
    plane: Bytes,
}

/// Low-rank additions to the weights (Hu et al. 2021, <https://arxiv.org/abs/2106.09685>) by name.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraWeight {
    /// One of the model's.
    pub name: String,
    /// Factor of the addition; finite.
    pub weight: f32,
}

// === impl ImageRequest ===

impl ImageRequest {
    /// A request for images of `(width, height)` pixels, one for each seed, in so many steps. All else is left to the
    /// model; long prompts are cut.
    pub fn new(prompt: impl Into<String>, (width, height): (u32, u32), steps: u32, seeds: Vec<u64>) -> Self {
        Self {
            prompt: prompt.into(),
            negative_prompt: None,
            width,
            height,
            steps,
            guidance_scale: None,
            seeds,
            scheduler: None,
            init: None,
            previews: 0,
            loras: Vec::new(),
            truncate: true,
        }
    }

    /// Checks what the types alone don't hold.
    ///
    /// # Errors
    /// The first field that breaks the contract.
    pub fn validate(&self) -> Result<(), Invalid> {
        if self.negative_prompt.as_ref().is_some_and(String::is_empty) {
            return Err(Invalid::new("negative_prompt", "is empty; leave it out for none"));
        }
        for (field, side) in [("width", self.width), ("height", self.height)] {
            if !(1..=MAX_IMAGE_SIDE).contains(&side) {
                let problem = format!("is {side} pixels; it is 1 to {MAX_IMAGE_SIDE}");
                return Err(Invalid::new(field, problem));
            }
        }
        if !(1..=MAX_STEPS).contains(&self.steps) {
            let problem = format!("is {}; it is 1 to {MAX_STEPS}", self.steps);
            return Err(Invalid::new("steps", problem));
        }
        if self.guidance_scale.is_some_and(|scale| !scale.is_finite()) {
            return Err(Invalid::new("guidance_scale", "is not finite"));
        }
        if !(1..=MAX_IMAGES).contains(&self.seeds.len()) {
            let problem = format!("has {} numbers; it has 1 to {MAX_IMAGES}", self.seeds.len());
            return Err(Invalid::new("seeds", problem));
        }
        if self.scheduler.as_ref().is_some_and(String::is_empty) {
            return Err(Invalid::new("scheduler", "is empty; leave it out for the model's own"));
        }
        if self.previews > MAX_PREVIEWS {
            let problem = format!("is {}; it is at most {MAX_PREVIEWS}", self.previews);
            return Err(Invalid::new("previews", problem));
        }
        self.validate_loras()?;
        let size = (self.width, self.height);
        self.init.as_ref().map_or(Ok(()), |init| init.validate(size))
    }

    fn validate_loras(&self) -> Result<(), Invalid> {
        for (index, lora) in self.loras.iter().enumerate() {
            if !lora.weight.is_finite() {
                return Err(Invalid::new("loras", "has a weight that is not finite"));
            }
            if self.loras[..index].iter().any(|other| other.name == lora.name) {
                return Err(Invalid::new("loras", "names one twice"));
            }
        }
        Ok(())
    }
}

// === impl InitImage ===

impl InitImage {
    fn validate(&self, (width, height): (u32, u32)) -> Result<(), Invalid> {
        let check = |field, actual: (u32, u32)| {
            if actual == (width, height) {
                return Ok(());
            }
            let problem = format!(
                "is {}×{} pixels where {width}×{height} are asked for",
                actual.0, actual.1
            );
            Err(Invalid::new(field, problem))
        };
        check("image", (self.image.width(), self.image.height()))?;
        if let Some(mask) = &self.mask {
            check("mask", (mask.width, mask.height))?;
        }
        match self.strength {
            Some(strength) if !(strength > 0.0 && strength <= 1.0) => {
                Err(Invalid::new("strength", format!("is {strength}; it is over 0 to 1")))
            }
            _ => Ok(()),
        }
    }
}

// === impl Mask ===

impl Mask {
    /// A plane of `width × height`, 1 byte each. A `Vec<u8>` is taken over, not copied.
    ///
    /// # Errors
    /// If a side is 0 or more than [`MAX_IMAGE_SIDE`], or the length isn't `width * height`.
    pub fn new(width: u32, height: u32, plane: impl Into<Bytes>) -> Result<Self, Invalid> {
        let plane = plane.into();
        let expected = u64::from(width) * u64::from(height);
        if expected == 0 || width.max(height) > MAX_IMAGE_SIDE {
            let problem = format!("is {width}×{height} pixels; a side is 1 to {MAX_IMAGE_SIDE}");
            return Err(Invalid::new("mask", problem));
        }
        if plane.len() as u64 != expected {
            let problem = format!("of {width}×{height} needs {expected} bytes, not {}", plane.len());
            return Err(Invalid::new("mask", problem));
        }
        Ok(Self { width, height, plane })
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// `width * height` bytes: 255 is painted anew, 0 is kept.
    pub fn as_bytes(&self) -> &[u8] {
        &self.plane
    }

    /// The same bytes, shared.
    pub fn to_bytes(&self) -> Bytes {
        self.plane.clone()
    }
}
