//! The image preprocessor's configuration: what the host must do (the image spec), and what is left to the patch
//! embedding (rescale and normalise).

use sensorium_contract::{Filter, ImageSpec, ResizeMode};
use serde::Deserialize;
use serde_json::Value;

use crate::{checkpoint::ModelDir, error::LoadError, nn::PixelScale};

/// Channel means of OpenAI's CLIP.
const CLIP_MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
/// Channel deviations of OpenAI's CLIP.
const CLIP_STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

/// What makes an image into numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Preprocess {
    /// The host's part.
    pub(crate) spec: ImageSpec,
    /// The plugin's part.
    pub(crate) scale: PixelScale,
}

/// Whose defaults hold where the file says nothing, or is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// `CLIPImageProcessor`.
    Clip,
    /// `SiglipImageProcessor`.
    Siglip,
}

/// `processor_config.json` of transformers 5.
#[derive(Debug, Deserialize)]
struct RawProcessor {
    image_processor: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawPreprocessor {
    image_processor_type: Option<String>,
    feature_extractor_type: Option<String>,
    do_resize: Option<bool>,
    do_center_crop: Option<bool>,
    do_rescale: Option<bool>,
    do_normalize: Option<bool>,
    size: Option<RawSize>,
    crop_size: Option<RawSize>,
    resample: Option<u8>,
    rescale_factor: Option<f64>,
    image_mean: Option<Channels>,
    image_std: Option<Channels>,
}

/// `224`, `{"shortest_edge": 224}` or `{"height": 224, "width": 224}`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
enum RawSize {
    Side(u32),
    Box { height: u32, width: u32 },
    Edge { shortest_edge: u32 },
}

/// One value for each channel, or one for all.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Channels {
    Each([f32; 3]),
    All(f32),
}

// === impl Preprocess ===

impl Preprocess {
    /// Reads `processor_config.json` or `preprocessor_config.json` for a model that reads `side × side` pixels.
    ///
    /// # Errors
    /// If the file makes no sense, or makes images that the model can't read.
    pub(crate) fn load(dir: &ModelDir, family: Family, side: usize) -> Result<Self, LoadError> {
        const NESTED: &str = "processor_config.json";
        const PLAIN: &str = "preprocessor_config.json";
        let side = side as u32;
        let nested = dir
            .json::<RawProcessor>(NESTED)?
            .and_then(|processor| processor.image_processor);
        let (file, raw) = match nested {
            Some(value) => {
                let raw = RawPreprocessor::deserialize(value);
                (
                    NESTED,
                    raw.map_err(|error| LoadError::file(dir.label(NESTED), format!("image_processor: {error}")))?,
                )
            }
            None => (PLAIN, dir.json(PLAIN)?.unwrap_or_default()),
        };
        raw.resolve(family, side)
            .map_err(|problem| LoadError::file(dir.label(file), problem))
    }
}

// === impl RawPreprocessor ===

impl RawPreprocessor {
    fn resolve(&self, family: Family, side: u32) -> Result<Preprocess, String> {
        // A bare number means the shortest edge to CLIP's processors and a square to all others.
        let kind = self
            .image_processor_type
            .as_ref()
            .or(self.feature_extractor_type.as_ref());
        let clip = kind.map_or(family == Family::Clip, |kind| kind.starts_with("CLIP"));
        let mode = self.mode(clip, side)?;
        let rescale = match self.do_rescale {
            Some(false) => 1.0,
            _ => self.rescale_factor.unwrap_or(1.0 / 255.0) as f32,
        };
        let (mean, std) = match (self.do_normalize, clip) {
            (Some(false), _) => ([0.0; 3], [1.0; 3]),
            (_, true) => (channels(self.image_mean, CLIP_MEAN), channels(self.image_std, CLIP_STD)),
            (_, false) => (channels(self.image_mean, [0.5; 3]), channels(self.image_std, [0.5; 3])),
        };
        if !std.iter().all(|value| value.is_finite() && *value > 0.0) || !mean.iter().all(|value| value.is_finite()) {
            return Err(format!(
                "image_mean {mean:?} and image_std {std:?} must be finite, image_std above 0"
            ));
        }
        let filter = filter(self.resample.unwrap_or(3))?;
        let spec = ImageSpec {
            width: side,
            height: side,
            mode,
            filter,
        };
        Ok(Preprocess {
            spec,
            scale: PixelScale { rescale, mean, std },
        })
    }

    /// How the image is resized, checked to end at `side × side`. Where the reference doesn't resize at all it can
    /// only read images that have the model's size already; those are left as they are by the squash.
    fn mode(&self, clip: bool, side: u32) -> Result<ResizeMode, String> {
        if self.do_resize == Some(false) {
            return Ok(ResizeMode::Squash);
        }
        let crop = match (self.do_center_crop.unwrap_or(clip), self.crop_size) {
            (false, _) => None,
            (true, None) => Some((side, side)),
            (true, Some(size)) => Some(size.square_box().ok_or("crop_size must have a height and a width")?),
        };
        let size = match (self.size, clip) {
            (Some(RawSize::Side(edge)), true) => RawSize::Edge { shortest_edge: edge },
            (Some(size), _) => size,
            (None, true) => RawSize::Edge { shortest_edge: side },
            (None, false) => RawSize::Side(side),
        };
        let (made, mode) = match (size, crop) {
            (RawSize::Edge { shortest_edge: 0 }, _) => return Err("size: shortest_edge must not be 0".to_owned()),
            (RawSize::Edge { shortest_edge }, crop) => (
                crop.unwrap_or((shortest_edge, shortest_edge)),
                ResizeMode::ShortestEdgeCrop { shortest_edge },
            ),
            (size, crop) => {
                let made = size.square_box().ok_or("size must have a height and a width")?;
                if crop.is_some_and(|crop| crop != made) {
                    return Err(
                        "crop_size differs from size, which has a height and a width; give shortest_edge \
                                instead"
                            .to_owned(),
                    );
                }
                (made, ResizeMode::Squash)
            }
        };
        if made != (side, side) {
            return Err(format!(
                "makes images of {}×{} pixels; the model reads {side}×{side}",
                made.0, made.1
            ));
        }
        Ok(mode)
    }
}

// === impl RawSize ===

impl RawSize {
    /// Width and height.
    fn square_box(self) -> Option<(u32, u32)> {
        match self {
            Self::Side(side) => Some((side, side)),
            Self::Box { height, width } => Some((width, height)),
            Self::Edge { .. } => None,
        }
    }
}

fn channels(given: Option<Channels>, default: [f32; 3]) -> [f32; 3] {
    match given {
        Some(Channels::Each(values)) => values,
        Some(Channels::All(value)) => [value; 3],
        None => default,
    }
}

/// Pillow's numbers for its resampling filters.
fn filter(resample: u8) -> Result<Filter, String> {
    Ok(match resample {
        0 => Filter::Nearest,
        1 => Filter::Lanczos,
        2 => Filter::Bilinear,
        3 => Filter::Bicubic,
        4 => Filter::Box,
        5 => Filter::Hamming,
        other => {
            return Err(format!(
                "resample is {other}; it must be one of Pillow's filters, 0 to 5"
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(family: Family, side: u32, json: &str) -> Result<Preprocess, String> {
        serde_json::from_str::<RawPreprocessor>(json)
            .map_err(|error| error.to_string())?
            .resolve(family, side)
    }

    #[test]
    fn every_layout_seen_in_the_wild_resolves() {
        let edge = |shortest_edge| ResizeMode::ShortestEdgeCrop { shortest_edge };
        let rows = [
            (Family::Clip, 224, "{}", edge(224), Filter::Bicubic),
            (
                Family::Clip,
                224,
                r#"{"feature_extractor_type": "CLIPFeatureExtractor", "size": 224, "crop_size": 224,
                    "do_resize": true, "do_center_crop": true, "resample": 3}"#,
                edge(224),
                Filter::Bicubic,
            ),
            (
                Family::Clip,
                224,
                r#"{"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}, "resample": 2}"#,
                edge(256),
                Filter::Bilinear,
            ),
            (
                Family::Clip,
                336,
                r#"{"size": {"height": 336, "width": 336}}"#,
                ResizeMode::Squash,
                Filter::Bicubic,
            ),
            (Family::Siglip, 384, "{}", ResizeMode::Squash, Filter::Bicubic),
            (
                Family::Siglip,
                256,
                r#"{"image_processor_type": "SiglipImageProcessor", "size": {"height": 256, "width": 256},
                    "resample": 2}"#,
                ResizeMode::Squash,
                Filter::Bilinear,
            ),
            (
                Family::Clip,
                224,
                r#"{"image_processor_type": "ViTImageProcessor", "size": 224}"#,
                ResizeMode::Squash,
                Filter::Bicubic,
            ),
            (
                Family::Clip,
                64,
                r#"{"do_resize": false, "do_center_crop": false}"#,
                ResizeMode::Squash,
                Filter::Bicubic,
            ),
        ];
        for (family, side, json, mode, filter) in rows {
            let made = resolve(family, side, json).expect(json).spec;
            assert_eq!(
                made,
                ImageSpec {
                    width: side,
                    height: side,
                    mode,
                    filter
                },
                "{json}"
            );
        }
    }

    #[test]
    fn what_the_model_cannot_read_is_refused() {
        for (json, part) in [
            (
                r#"{"crop_size": 256}"#,
                "makes images of 256×256 pixels; the model reads 224×224",
            ),
            (
                r#"{"size": {"height": 256, "width": 256}, "crop_size": 224}"#,
                "crop_size differs",
            ),
            (r#"{"resample": 9}"#, "resample is 9"),
            (r#"{"image_std": [0.5, 0, 0.5]}"#, "image_std"),
            (r#"{"size": {"longest_edge": 224}}"#, "did not match"),
        ] {
            let message = resolve(Family::Clip, 224, json).expect_err(json);
            assert!(message.contains(part), "{json}: {message}");
        }
    }

    #[test]
    fn rescale_and_normalise_can_be_switched_off() {
        let scale = resolve(Family::Clip, 224, r#"{"do_rescale": false, "do_normalize": false}"#)
            .expect("valid")
            .scale;
        assert_eq!((scale.rescale, scale.mean, scale.std), (1.0, [0.0; 3], [1.0; 3]));
        let scale = resolve(Family::Siglip, 224, "{}").expect("valid").scale;
        assert_eq!(
            (scale.rescale, scale.mean, scale.std),
            (1.0 / 255.0, [0.5; 3], [0.5; 3])
        );
    }
}
