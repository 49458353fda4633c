//! How an architecture reads images: the size it wants them in, the place that each takes in the prompt, and the
//! preprocessor configuration with which mistral.rs changes nothing about pixels that already have that size.

use std::sync::Arc;

use mistralrs::MultimodalLoaderType;
use sensorium_contract::{Filter, ImageSpec, MAX_IMAGE_SIDE, ResizeMode, RgbImage};
use serde_json::{Map, Value};

use super::{
    codec::Codec,
    families,
    numbers::Numbers,
    resize::resize,
    smart::{MAX_ASPECT, Smart},
};
use crate::{
    error::LoadError,
    vision_fast::{Eye, TooLong},
};

/// Pixels as mistral.rs takes them.
pub(crate) type Pixels = image::DynamicImage;

/// Images larger than this many times the square root of the most pixels are scaled down by the host.
const BOX_FACTOR: f64 = 2.0;

/// Longest side that the host sends of images whose size is free.
const MAX_BOX: u32 = 4096;

/// How a model reads images.
#[derive(Debug, Clone)]
pub(crate) struct Vision {
    pub(super) kind: Kind,
    /// What stands for one image in a rendered prompt.
    pub(super) placeholder: &'static str,
    /// The token that stands for a piece of an image.
    pub(super) token: &'static str,
    pub(super) filter: Filter,
    /// What the engine reads instead of preprocessor_config.json.
    pub(super) preprocessor: Map<String, Value>,
    /// What the engine reads instead of processor_config.json.
    pub(super) processor: Map<String, Value>,
    /// Sees images in place of the engine.
    pub(super) eye: Option<Arc<Eye>>,
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// Squares; each is `tokens` tokens between two of its own.
    Idefics3 { side: u32, tokens: u32 },
    /// Any size, in patches that are merged `merge` × `merge` into tokens.
    Qwen { smart: Smart, newer: bool },
    /// One size; each is `tokens` tokens.
    Gemma3 { width: u32, height: u32, tokens: u32 },
    /// One size, cut out of the middle; each is `tokens` tokens.
    Llava { side: u32, edge: u32, tokens: u32 },
}

/// The configuration files that say how images are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct VisionFiles<'a> {
    /// config.json.
    pub(crate) config: &'a Map<String, Value>,
    /// preprocessor_config.json, or the part of processor_config.json that newer models have instead.
    pub(crate) preprocessor: &'a Map<String, Value>,
}

// === impl Vision ===

impl Vision {
    /// How this architecture reads images; `None` if this plugin doesn't know how to give it any.
    ///
    /// # Errors
    /// If the configuration makes no sense.
    pub(crate) fn read(
        architecture: &MultimodalLoaderType,
        files: VisionFiles<'_>,
        max_pixels: Option<u64>,
    ) -> Result<Option<Self>, LoadError> {
        match architecture {
            MultimodalLoaderType::Idefics3 => families::idefics3(files).map(Some),
            MultimodalLoaderType::Qwen2VL | MultimodalLoaderType::Qwen2_5VL => {
                families::qwen(files, false, max_pixels).map(Some)
            }
            MultimodalLoaderType::Qwen3VL | MultimodalLoaderType::Qwen3VLMoE => {
                families::qwen(files, true, max_pixels).map(Some)
            }
            // Without a vision tower it is the text model of the family.
            MultimodalLoaderType::Gemma3 if !files.config.contains_key("vision_config") => Ok(None),
            MultimodalLoaderType::Gemma3 => families::gemma3(files).map(Some),
            MultimodalLoaderType::LLaVA => families::llava(files).map(Some),
            _ => Ok(None),
        }
    }

    /// How the host prepares images.
    pub(crate) fn spec(&self) -> ImageSpec {
        let (width, height, mode) = match &self.kind {
            Kind::Idefics3 { side, .. } => (*side, *side, ResizeMode::Squash),
            Kind::Gemma3 { width, height, .. } => (*width, *height, ResizeMode::Squash),
            Kind::Llava { side, edge, .. } => (*side, *side, ResizeMode::ShortestEdgeCrop { shortest_edge: *edge }),
            Kind::Qwen { smart, .. } => {
                let side = (smart.max_pixels as f64).sqrt() * BOX_FACTOR;
                let side = (side.ceil() as u32).clamp(smart.factor, MAX_BOX.min(MAX_IMAGE_SIDE));
                (side, side, ResizeMode::Fit)
            }
        };
        ImageSpec {
            width,
            height,
            mode,
            filter: self.filter,
        }
    }

    /// Most images that the engine reads in one conversation.
    pub(crate) fn max_images(&self) -> u32 {
        match self.kind {
            // llava_inputs_processor.rs:379 refuses a second one by a panic of its caller.
            Kind::Llava { .. } => 1,
            // The third is taken from where the second is (qwen2vl/mod.rs:411, qwen2_5_vl/mod.rs:411).
            Kind::Qwen { newer: false, .. } => 2,
            _ => u32::MAX,
        }
    }

    /// True if the engine can't compute sequences with images and sequences without together: Qwen3-VL finds positions by
    /// the images of all of them or of none (qwen3_vl/inputs_processor.rs:174).
    pub(crate) fn separate(&self) -> bool {
        matches!(self.kind, Kind::Qwen { .. })
    }

    /// True if the engine can't compute several sequences together: LLaVA turns the keys of all of them to the first one's
    /// positions (llava_llm/llama.rs:88).
    pub(crate) fn alone(&self) -> bool {
        matches!(self.kind, Kind::Llava { .. })
    }

    /// What stands for one image in a rendered prompt.
    pub(crate) fn placeholder(&self) -> &'static str {
        self.placeholder
    }

    /// Tokens that stand for images or frame them: none of them may come from a client's words.
    pub(crate) fn marks(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::Idefics3 { .. } => &["<image>", "<fake_token_around_image>", "<global-img>"],
            Kind::Qwen { .. } => &[
                "<|image_pad|>",
                "<|video_pad|>",
                "<|vision_start|>",
                "<|vision_end|>",
                "<|placeholder|>",
            ],
            Kind::Gemma3 { .. } => &["<start_of_image>", "<image_soft_token>", "<end_of_image>"],
            Kind::Llava { .. } => &["<image>"],
        }
    }

    /// The token that stands for a piece of an image; config.json says its id too.
    pub(crate) fn token(&self) -> &'static str {
        self.token
    }

    /// What the engine reads instead of preprocessor_config.json.
    pub(crate) fn preprocessor(&self) -> &Map<String, Value> {
        &self.preprocessor
    }

    /// What the engine reads instead of processor_config.json.
    pub(crate) fn processor(&self) -> &Map<String, Value> {
        &self.processor
    }

    /// The pixels in the size in which the engine leaves them as they are.
    ///
    /// # Errors
    /// What is wrong with the image, for the caller's eyes.
    pub(crate) fn prepare(&self, image: &RgbImage) -> Result<Pixels, String> {
        let (width, height) = (image.width(), image.height());
        let wanted = match &self.kind {
            Kind::Idefics3 { side, .. } | Kind::Llava { side, .. } => (*side, *side),
            Kind::Gemma3 { width, height, .. } => (*width, *height),
            Kind::Qwen { smart, .. } => smart.size(width, height).ok_or_else(|| {
                format!(
                    "the image has {width} × {height} pixels; one side must not be more than {MAX_ASPECT} times the other"
                )
            })?,
        };
        let pixels = resize(image, wanted.0, wanted.1, self.filter)?;
        let made = match self.kind {
            // The engine finds images it has seen by a hash of their bytes without their shape (sequence.rs:141): the
            // shape goes into the alpha plane, which it drops after that.
            Kind::Qwen { .. } => with_shape(&pixels, wanted).map(Pixels::ImageRgba8),
            _ => image::RgbImage::from_raw(wanted.0, wanted.1, pixels).map(Pixels::ImageRgb8),
        };
        made.ok_or_else(|| "the image's pixels don't fill its size".to_owned())
    }

    /// Has `eye` see images from now on.
    pub(crate) fn look_through(&mut self, eye: Eye) {
        self.eye = Some(Arc::new(eye));
    }

    /// What the engine is to see instead of pixels that have been prepared; the pixels if it sees for itself. May take a
    /// second of all threads.
    ///
    /// # Errors
    /// If the model's weights make no numbers of them.
    pub(crate) fn look(&self, pixels: Pixels) -> Result<Pixels, TooLong> {
        match (&self.eye, &pixels) {
            (Some(eye), Pixels::ImageRgb8(rgb)) => Ok(Pixels::ImageRgb8(eye.picture(rgb.as_raw())?.as_ref().clone())),
            _ => Ok(pixels),
        }
    }

    /// The ids of a rendered prompt with its images in their places, as transformers makes them, and how many of them
    /// are for images.
    ///
    /// # Errors
    /// What is wrong with the prompt.
    pub(crate) fn expand(&self, prompt: &str, images: &[Pixels], codec: &Codec) -> Result<(Vec<u32>, u32), String> {
        let mut pieces = prompt.split(self.placeholder);
        let mut text = pieces.next().unwrap_or_default().to_owned();
        let mut image_tokens = 0;
        for (piece, image) in pieces.zip(images) {
            let (place, tokens) = self.place(image);
            text.push_str(&place);
            text.push_str(piece);
            image_tokens += tokens;
        }
        let ids = codec.encode(&text, true)?;
        let wanted = codec.id(self.token);
        let found = ids.iter().filter(|&&id| Some(id) == wanted).count();
        if found != image_tokens as usize {
            return Err(format!(
                "the prompt has {found} tokens of images instead of {image_tokens}"
            ));
        }
        if let Kind::Llava { .. } = self.kind
            && wanted != Some(0)
            && ids.contains(&0)
        {
            // It takes token 0 for a piece of an image.
            return Err("the prompt has text that the model's tokenizer doesn't know".to_owned());
        }
        Ok((ids, image_tokens))
    }

    /// How prompts are written for the engine.
    pub(crate) fn numbers(&self, id: impl Fn(&str) -> Option<u32>) -> Numbers {
        let known = |names: &[&'static str]| -> Vec<(u32, &'static str)> {
            names.iter().filter_map(|&name| Some((id(name)?, name))).collect()
        };
        let ids = |names: &[&str]| names.iter().filter_map(|name| id(name)).collect();
        match self.kind {
            Kind::Idefics3 { .. } => Numbers {
                named: known(&[
                    "<image>",
                    "<fake_token_around_image>",
                    "<global-img>",
                    "<end_of_utterance>",
                ]),
                left_out: ids(&["<fake_token_around_image>", "<global-img>"]),
                run: id("<image>"),
                ..Numbers::default()
            },
            Kind::Qwen { .. } => Numbers {
                named: known(&["<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"]),
                run: id("<|image_pad|>"),
                ..Numbers::default()
            },
            Kind::Gemma3 { .. } => Numbers {
                named: known(&["<start_of_image>", "<image_soft_token>", "<end_of_image>"]),
                left_out: ids(&["<image_soft_token>", "<end_of_image>"]),
                ..Numbers::default()
            },
            // The engine reads its own prompt a second time, when each piece of an image has become token 0, and looks for
            // `<image>` again (llava_inputs_processor.rs:205): empty text between as many of them is what makes one
            // image of it.
            Kind::Llava { .. } => Numbers {
                named: vec![(0, "<image>")],
                written: known(&["<image>"]),
                run: id("<image>"),
                ..Numbers::default()
            },
        }
    }

    /// What the engine puts in the place of one image, and how many tokens of it are the image.
    fn place(&self, image: &Pixels) -> (String, u32) {
        let repeated = |token: &str, times: u32| token.repeat(times as usize);
        match &self.kind {
            Kind::Idefics3 { tokens, .. } => {
                let fake = "<fake_token_around_image>";
                let tiles = repeated("<image>", *tokens);
                (format!("{fake}<global-img>{tiles}{fake}"), *tokens)
            }
            Kind::Qwen { smart, .. } => {
                let area = u64::from(image.width()) * u64::from(image.height());
                let tokens = (area / u64::from(smart.factor).pow(2)) as u32;
                (repeated(self.placeholder, tokens), tokens)
            }
            Kind::Gemma3 { tokens, .. } => {
                let soft = repeated("<image_soft_token>", *tokens);
                (format!("\n\n<start_of_image>{soft}<end_of_image>\n\n"), *tokens)
            }
            Kind::Llava { tokens, .. } => (repeated(self.placeholder, *tokens), *tokens),
        }
    }
}

/// RGBA of RGB, with the shape in the first alpha bytes.
fn with_shape(rgb: &[u8], (width, height): (u32, u32)) -> Option<image::RgbaImage> {
    let mut shape = width.to_le_bytes().into_iter().chain(height.to_le_bytes());
    let pixels = rgb
        .chunks_exact(3)
        .flat_map(|pixel| [pixel[0], pixel[1], pixel[2], shape.next().unwrap_or(u8::MAX)])
        .collect();
    image::RgbaImage::from_raw(width, height, pixels)
}
