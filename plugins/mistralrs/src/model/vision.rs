//! How an architecture reads images: the size it wants them in, the place that each takes in the prompt, and the
//! preprocessor configuration with which mistral.rs changes nothing about pixels that already have that size.

use std::sync::Arc;

use mistralrs::MultimodalLoaderType;
use sensorium_contract::{Filter, ImageSpec, MAX_IMAGE_SIDE, ResizeMode, RgbImage};
use serde_json::{Map, Value, json};

use super::{
    codec::Codec,
    facts::Facts,
    numbers::Numbers,
    resize::resize,
    smart::{MAX_ASPECT, Smart},
};
use crate::{error::LoadError, vision_fast::{Eye, TooLong}};

/// Pixels as mistral.rs takes them.
pub(crate) type Pixels = image::DynamicImage;

/// Images larger than this many times the square root of the most pixels are scaled down by the host.
const BOX_FACTOR: f64 = 2.0;

/// Longest side that the host sends of images whose size is free.
const MAX_BOX: u32 = 4096;

/// How a model reads images.
#[derive(Debug, Clone)]
pub(crate) struct Vision {
    kind: Kind,
    /// What stands for one image in a rendered prompt.
    placeholder: &'static str,
    /// The token that stands for a piece of an image.
    token: &'static str,
    filter: Filter,
    /// What the engine reads instead of preprocessor_config.json.
    preprocessor: Map<String, Value>,
    /// What the engine reads instead of processor_config.json.
    processor: Map<String, Value>,
    /// Sees images in place of the engine.
    eye: Option<Arc<Eye>>,
}

#[derive(Debug, Clone)]
enum Kind {
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
            MultimodalLoaderType::Idefics3 => idefics3(files).map(Some),
            MultimodalLoaderType::Qwen2VL | MultimodalLoaderType::Qwen2_5VL => qwen(files, false, max_pixels).map(Some),
            MultimodalLoaderType::Qwen3VL | MultimodalLoaderType::Qwen3VLMoE => qwen(files, true, max_pixels).map(Some),
            // Without a vision tower it is the text model of the family.
            MultimodalLoaderType::Gemma3 if !files.config.contains_key("vision_config") => Ok(None),
            MultimodalLoaderType::Gemma3 => gemma3(files).map(Some),
            MultimodalLoaderType::LLaVA => llava(files).map(Some),
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
            Kind::Qwen { .. } => &["<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>", "<|placeholder|>"],
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
            return Err(format!("the prompt has {found} tokens of images instead of {image_tokens}"));
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
                named: known(&["<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>"]),
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

/// What all architectures have in common: the host resizes, the engine rescales and normalises.
fn common(files: VisionFiles<'_>) -> Result<(Map<String, Value>, Filter), LoadError> {
    let facts = Facts::new(PREPROCESSOR, files.preprocessor);
    let mut staged = Map::new();
    for key in ["image_mean", "image_std"] {
        let Some(value) = files.preprocessor.get(key) else { continue };
        if value.as_array().is_none_or(|list| list.len() != 3 || !list.iter().all(Value::is_number)) {
            return Err(facts.error(key, "is no list of three numbers"));
        }
        staged.insert(key.to_owned(), value.clone());
    }
    let factor = files.preprocessor.get("rescale_factor").and_then(Value::as_f64);
    for (key, value) in [
        ("do_convert_rgb", json!(true)),
        ("do_rescale", json!(facts.flag("do_rescale", true))),
        ("rescale_factor", json!(factor.unwrap_or(1.0 / 255.0))),
        ("do_normalize", json!(facts.flag("do_normalize", true))),
    ] {
        staged.insert(key.to_owned(), value);
    }
    let filter = match facts.number("resample")? {
        Some(0) => Filter::Nearest,
        Some(1) => Filter::Lanczos,
        Some(2) => Filter::Bilinear,
        None | Some(3) => Filter::Bicubic,
        Some(4) => Filter::Box,
        Some(5) => Filter::Hamming,
        Some(other) => return Err(facts.error("resample", &format!("is {other}; Pillow's filters are 0 to 5"))),
    };
    Ok((staged, filter))
}

/// Where messages say that image settings are from.
const PREPROCESSOR: &str = "preprocessor_config.json";

/// Where messages say that model settings are from.
const CONFIG: &str = "config.json";

/// A number of an object within the preprocessor's settings: `size.height`.
fn size_of(files: VisionFiles<'_>, key: &str, inner: &str) -> Result<Option<u32>, LoadError> {
    match files.preprocessor.get(key) {
        Some(Value::Object(object)) => Facts::new(PREPROCESSOR, object).number(inner),
        Some(_) => Facts::new(PREPROCESSOR, files.preprocessor).number(key),
        None => Ok(None),
    }
}

/// One tile an image: the tiles of `do_image_splitting` are more than the engine can take (they panic it), so images
/// are read as transformers reads them with `do_image_splitting=False`.
fn idefics3(files: VisionFiles<'_>) -> Result<Vision, LoadError> {
    let config = Facts::new(CONFIG, files.config);
    let tower = config.section("vision_config")?;
    let (side, patch) = (tower.positive("image_size")?, tower.positive("patch_size")?);
    let scale = config.number("scale_factor")?.unwrap_or(2).max(1);
    let largest = size_of(files, "max_image_size", "longest_edge")?.unwrap_or(side);
    if largest != side || side % (patch * scale) != 0 {
        let problem = format!(
            "is {side}; it must be what max_image_size of {PREPROCESSOR} says ({largest}) and a multiple of patch_size × \
             scale_factor ({patch} × {scale})"
        );
        return Err(tower.error("image_size", &problem));
    }
    let tokens = (side / patch / scale).pow(2);
    let (mut preprocessor, filter) = common(files)?;
    preprocessor.insert("do_resize".to_owned(), json!(false));
    preprocessor.insert("do_image_splitting".to_owned(), json!(false));
    preprocessor.insert("do_pad".to_owned(), json!(true));
    preprocessor.insert("max_image_size".to_owned(), json!({"longest_edge": side}));
    Ok(Vision {
        kind: Kind::Idefics3 { side, tokens },
        placeholder: "<image>",
        token: "<image>",
        // Idefics3ImageProcessor's own default.
        filter: if files.preprocessor.contains_key("resample") { filter } else { Filter::Lanczos },
        preprocessor,
        processor: Map::from_iter([("image_seq_len".to_owned(), json!(tokens))]),
        eye: None,
    })
}

/// `newer`: Qwen3-VL.
fn qwen(files: VisionFiles<'_>, newer: bool, limit: Option<u64>) -> Result<Vision, LoadError> {
    let default_patch = if newer { 16 } else { 14 };
    let facts = Facts::new(PREPROCESSOR, files.preprocessor);
    let tower = Facts::new(CONFIG, files.config).section("vision_config")?;
    let patch = facts.number("patch_size")?.or(tower.number("patch_size")?).unwrap_or(default_patch).max(1);
    let merge = facts.number("merge_size")?.or(tower.number("spatial_merge_size")?).unwrap_or(2).max(1);
    let temporal = facts.number("temporal_patch_size")?.or(tower.number("temporal_patch_size")?).unwrap_or(2);
    for (key, value) in [("patch_size", patch), ("spatial_merge_size", merge), ("temporal_patch_size", temporal)] {
        if tower.number(key)?.is_some_and(|own| own != value) {
            return Err(tower.error(key, &format!("is not the {value} of {PREPROCESSOR}")));
        }
    }
    let factor = patch * merge;
    let area = u64::from(factor).pow(2);
    let edges = |key, inner| -> Result<Option<u32>, LoadError> {
        Ok(facts.number(key)?.or(size_of(files, "size", inner)?))
    };
    // Qwen2-VL and 2.5's merger makes a number of an image of one token (qwen2_5_vl/vision.rs:282).
    let fewest = if newer { area } else { 2 * area };
    let min_pixels = edges("min_pixels", "shortest_edge")?.map_or(4 * area, u64::from).max(fewest);
    let max_pixels = edges("max_pixels", "longest_edge")?.map_or(1280 * area, u64::from);
    let max_pixels = limit.map_or(max_pixels, |limit| limit.min(max_pixels)).max(min_pixels);
    let (mut preprocessor, filter) = common(files)?;
    for (key, value) in [
        ("do_resize", json!(true)),
        ("resample", json!(3)),
        ("patch_size", json!(patch)),
        ("merge_size", json!(merge)),
        ("temporal_patch_size", json!(temporal)),
        // Any size that `Smart` makes is left as it is.
        ("min_pixels", json!(0)),
        ("max_pixels", json!(u64::from(u32::MAX))),
    ] {
        preprocessor.insert(key.to_owned(), value);
    }
    Ok(Vision {
        kind: Kind::Qwen {
            smart: Smart {
                factor,
                min_pixels,
                max_pixels,
            },
            newer,
        },
        placeholder: "<|image_pad|>",
        token: "<|image_pad|>",
        filter,
        preprocessor,
        processor: Map::new(),
        eye: None,
    })
}

/// Without pan and scan, as transformers reads them by default.
fn gemma3(files: VisionFiles<'_>) -> Result<Vision, LoadError> {
    let facts = Facts::new(CONFIG, files.config);
    let side = facts.section("vision_config")?.positive("image_size")?;
    let tokens = facts.number("mm_tokens_per_image")?.unwrap_or(256);
    let width = size_of(files, "size", "width")?.unwrap_or(side);
    let height = size_of(files, "size", "height")?.unwrap_or(side);
    if (width, height) != (side, side) {
        let problem = format!("is {width} × {height}; the vision tower reads {side} × {side}");
        return Err(Facts::new(PREPROCESSOR, files.preprocessor).error("size", &problem));
    }
    let (mut preprocessor, filter) = common(files)?;
    preprocessor.insert("do_resize".to_owned(), json!(true));
    preprocessor.insert("do_pan_and_scan".to_owned(), json!(false));
    preprocessor.insert("resample".to_owned(), json!(2));
    preprocessor.insert("size".to_owned(), json!({"height": height, "width": width}));
    Ok(Vision {
        kind: Kind::Gemma3 { width, height, tokens },
        placeholder: "<start_of_image>",
        token: "<image_soft_token>",
        // Gemma3ImageProcessor's own default.
        filter: if files.preprocessor.contains_key("resample") { filter } else { Filter::Bilinear },
        preprocessor,
        processor: Map::from_iter([("image_seq_len".to_owned(), json!(tokens))]),
        eye: None,
    })
}

fn llava(files: VisionFiles<'_>) -> Result<Vision, LoadError> {
    let tower = Facts::new(CONFIG, files.config).section("vision_config")?;
    let (side, patch) = (tower.positive("image_size")?, tower.positive("patch_size")?);
    let crop = size_of(files, "crop_size", "height")?.unwrap_or(side);
    if crop != side || size_of(files, "crop_size", "width")?.unwrap_or(side) != side {
        let problem = format!("is not {side} × {side}, which is what the vision tower reads");
        return Err(Facts::new(PREPROCESSOR, files.preprocessor).error("crop_size", &problem));
    }
    let edge = size_of(files, "size", "shortest_edge")?.unwrap_or(side);
    let (mut preprocessor, filter) = common(files)?;
    preprocessor.insert("do_resize".to_owned(), json!(false));
    preprocessor.insert("do_center_crop".to_owned(), json!(false));
    preprocessor.insert("resample".to_owned(), json!(3));
    preprocessor.insert("size".to_owned(), json!({"shortest_edge": side}));
    Ok(Vision {
        kind: Kind::Llava {
            side,
            edge,
            tokens: (side / patch).pow(2),
        },
        placeholder: "<image>",
        token: "<image>",
        filter,
        preprocessor,
        processor: Map::new(),
        eye: None,
    })
}
