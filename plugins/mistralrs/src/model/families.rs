//! How each family of models reads images, out of config.json and preprocessor_config.json.

use sensorium_contract::Filter;
use serde_json::{Map, Value, json};

use super::{
    facts::Facts,
    smart::Smart,
    vision::{Kind, Vision, VisionFiles},
};
use crate::error::LoadError;

/// Where messages say that image settings are from.
const PREPROCESSOR: &str = "preprocessor_config.json";

/// Where messages say that model settings are from.
const CONFIG: &str = "config.json";

/// What all architectures have in common: the host resizes, the engine rescales and normalises.
fn common(files: VisionFiles<'_>) -> Result<(Map<String, Value>, Filter), LoadError> {
    let facts = Facts::new(PREPROCESSOR, files.preprocessor);
    let mut staged = Map::new();
    for key in ["image_mean", "image_std"] {
        let Some(value) = files.preprocessor.get(key) else {
            continue;
        };
        if value
            .as_array()
            .is_none_or(|list| list.len() != 3 || !list.iter().all(Value::is_number))
        {
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
pub(super) fn idefics3(files: VisionFiles<'_>) -> Result<Vision, LoadError> {
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
        filter: if files.preprocessor.contains_key("resample") {
            filter
        } else {
            Filter::Lanczos
        },
        preprocessor,
        processor: Map::from_iter([("image_seq_len".to_owned(), json!(tokens))]),
        eye: None,
    })
}

/// `newer`: Qwen3-VL.
pub(super) fn qwen(files: VisionFiles<'_>, newer: bool, limit: Option<u64>) -> Result<Vision, LoadError> {
    let default_patch = if newer { 16 } else { 14 };
    let facts = Facts::new(PREPROCESSOR, files.preprocessor);
    let tower = Facts::new(CONFIG, files.config).section("vision_config")?;
    let patch = facts
        .number("patch_size")?
        .or(tower.number("patch_size")?)
        .unwrap_or(default_patch)
        .max(1);
    let merge = facts
        .number("merge_size")?
        .or(tower.number("spatial_merge_size")?)
        .unwrap_or(2)
        .max(1);
    let temporal = facts
        .number("temporal_patch_size")?
        .or(tower.number("temporal_patch_size")?)
        .unwrap_or(2);
    for (key, value) in [
        ("patch_size", patch),
        ("spatial_merge_size", merge),
        ("temporal_patch_size", temporal),
    ] {
        if tower.number(key)?.is_some_and(|own| own != value) {
            return Err(tower.error(key, &format!("is not the {value} of {PREPROCESSOR}")));
        }
    }
    let factor = patch * merge;
    let area = u64::from(factor).pow(2);
    let edges =
        |key, inner| -> Result<Option<u32>, LoadError> { Ok(facts.number(key)?.or(size_of(files, "size", inner)?)) };
    // Qwen2-VL and 2.5's merger makes a number of an image of one token (qwen2_5_vl/vision.rs:282).
    let fewest = if newer { area } else { 2 * area };
    let min_pixels = edges("min_pixels", "shortest_edge")?
        .map_or(4 * area, u64::from)
        .max(fewest);
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
pub(super) fn gemma3(files: VisionFiles<'_>) -> Result<Vision, LoadError> {
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
        filter: if files.preprocessor.contains_key("resample") {
            filter
        } else {
            Filter::Bilinear
        },
        preprocessor,
        processor: Map::from_iter([("image_seq_len".to_owned(), json!(tokens))]),
        eye: None,
    })
}

pub(super) fn llava(files: VisionFiles<'_>) -> Result<Vision, LoadError> {
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
