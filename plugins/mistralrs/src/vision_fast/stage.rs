//! A staged model's vision tower replaced by one that reads [`Code`]'s pictures.

use std::path::PathBuf;

use safetensors::{Dtype, tensor::TensorView};
use sensorium_kernels::{Activation, Cpu, PixelAffine, Tier};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Code, Eye, Tower, code::ZERO, tensors::Tensors, tower::TowerShape};
use crate::{checkpoint::Staging, error::LoadError};

/// The file with the tower that the engine is given. Its tensors replace those of the same name in other files if the
/// engine reads it last.
const FILE: &str = "tower.safetensors";

/// What the model's files say.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    /// config.json.
    pub(crate) config: &'a Map<String, Value>,
    /// What the engine would read instead of preprocessor_config.json.
    pub(crate) preprocessor: &'a Map<String, Value>,
    /// The safetensors files: their names for messages, and where they are.
    pub(crate) weights: &'a [(String, PathBuf)],
}

/// A tower outside the engine.
pub(crate) struct Staged {
    /// Makes the pictures that the engine is to be given instead of images.
    pub(crate) eye: Eye,
    /// Weights that the engine is to read after all others.
    pub(crate) weights: PathBuf,
}

/// Loads an Idefics3's tower to run on `threads` threads, and writes into `staging` what makes the engine take its word.
///
/// `None`: the model has something that the kernels don't do, and keeps its own tower.
///
/// # Errors
/// If the weights don't fit the configuration.
pub(crate) fn stage(source: Source<'_>, staging: &Staging, threads: usize) -> Result<Option<Staged>, LoadError> {
    let tensors = Tensors::open(source.weights)?;
    let Some(shape) = shape(source.config)?.filter(|_| Tower::is_in(&tensors)) else {
        return Ok(None);
    };
    let Some(pixels) = pixels(source.preprocessor) else {
        return Ok(None);
    };
    let cpu = Cpu::new(Tier::best(false), threads).map_err(|error| LoadError::Process(error.to_string()))?;
    let tower = Tower::load(&tensors, shape, pixels, &cpu)?;
    let code = Code::new(shape.width, shape.grid(), tower.longest());
    staging.write_json("config.json", &config(source.config, &code))?;
    staging.write_json("preprocessor_config.json", &preprocessor(source.preprocessor, &code))?;
    let weights = staging.write(FILE, &weights(&code, shape)?)?;
    Ok(Some(Staged {
        eye: Eye::new(tower, code),
        weights,
    }))
}

/// What is read of config.json.
#[derive(Deserialize)]
struct RawConfig {
    #[serde(default = "two")]
    scale_factor: usize,
    vision_config: RawVision,
    text_config: RawText,
}

#[derive(Deserialize)]
struct RawVision {
    image_size: usize,
    patch_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_attention_heads: usize,
    num_hidden_layers: usize,
    num_channels: Option<usize>,
    hidden_act: String,
    layer_norm_eps: f32,
}

#[derive(Deserialize)]
struct RawText {
    hidden_size: usize,
}

/// Idefics3's own default.
fn two() -> usize {
    2
}

/// The sizes in config.json; `None` if the kernels can't do them.
fn shape(config: &Map<String, Value>) -> Result<Option<TowerShape>, LoadError> {
    let raw = RawConfig::deserialize(config).map_err(|error| LoadError::file("config.json", error))?;
    let vision = raw.vision_config;
    let Ok(activation) = Activation::from_name(&vision.hidden_act) else {
        return Ok(None);
    };
    let shape = TowerShape {
        side: vision.image_size,
        patch: vision.patch_size,
        shuffle: raw.scale_factor,
        hidden: vision.hidden_size,
        intermediate: vision.intermediate_size,
        heads: vision.num_attention_heads,
        layers: vision.num_hidden_layers,
        activation,
        norm_eps: vision.layer_norm_eps,
        width: raw.text_config.hidden_size,
    };
    let divisors = [shape.patch, shape.shuffle, shape.heads];
    let fits = vision.num_channels.unwrap_or(3) == 3
        && !divisors.contains(&0)
        && ![shape.side, shape.hidden, shape.width].contains(&0)
        && shape.side.is_multiple_of(shape.patch * shape.shuffle)
        && shape.hidden.is_multiple_of(shape.heads);
    Ok(fits.then_some(shape))
}

/// How pixels are normalised; `None` if it makes no sense.
fn pixels(preprocessor: &Map<String, Value>) -> Option<PixelAffine> {
    let flag = |key| preprocessor.get(key).and_then(Value::as_bool).unwrap_or(true);
    let three = |key: &str, default: f64| -> Option<[f32; 3]> {
        match preprocessor.get(key) {
            None => Some([default as f32; 3]),
            Some(value) => {
                let numbers: Vec<f32> = value
                    .as_array()?
                    .iter()
                    .filter_map(Value::as_f64)
                    .map(|x| x as f32)
                    .collect();
                numbers.try_into().ok()
            }
        }
    };
    let rescale = match flag("do_rescale") {
        true => preprocessor
            .get("rescale_factor")
            .and_then(Value::as_f64)
            .unwrap_or(1.0 / 255.0) as f32,
        false => 1.0,
    };
    let (mean, std) = match flag("do_normalize") {
        true => (three("image_mean", 0.5)?, three("image_std", 0.5)?),
        false => ([0.0; 3], [1.0; 3]),
    };
    let affine = PixelAffine {
        factor: std.map(|std| rescale / std),
        offset: std::array::from_fn(|channel| -mean[channel] / std[channel]),
    };
    let finite = affine.factor.iter().chain(&affine.offset).all(|x| x.is_finite());
    (finite && !affine.factor.contains(&0.0)).then_some(affine)
}

/// config.json with the other tower: one layer that adds nothing, one patch for each token.
fn config(own: &Map<String, Value>, code: &Code) -> Map<String, Value> {
    let mut config = own.clone();
    config.insert("scale_factor".to_owned(), json!(1));
    config.insert(
        "vision_config".to_owned(),
        json!({
            "hidden_size": code.row(), "intermediate_size": 1, "num_hidden_layers": 1, "num_attention_heads": 1,
            "num_channels": 3, "image_size": code.side(), "patch_size": code.patch(), "hidden_act": "silu",
            "layer_norm_eps": 1e-12,
        }),
    );
    config
}

/// preprocessor_config.json that makes digits of bytes.
fn preprocessor(own: &Map<String, Value>, code: &Code) -> Map<String, Value> {
    let mut preprocessor = own.clone();
    for (key, value) in [
        ("do_rescale", json!(false)),
        ("do_normalize", json!(true)),
        ("image_mean", json!(vec![f64::from(ZERO); 3])),
        ("image_std", json!(vec![1.0; 3])),
        ("max_image_size", json!({"longest_edge": code.side()})),
    ] {
        preprocessor.insert(key.to_owned(), value);
    }
    preprocessor
}

/// A safetensors file with the other tower and connector.
fn weights(code: &Code, shape: TowerShape) -> Result<Vec<u8>, LoadError> {
    let (row, patch, tokens) = (code.row(), code.patch(), shape.grid().pow(2));
    let mut selection = vec![0.0; shape.width * row];
    for number in 0..shape.width {
        selection[number * row + number] = code.scale();
    }
    let zeros = |size: usize| vec![0.0f32; size];
    let (vision, layer) = ("model.vision_model", "model.vision_model.encoder.layers.0");
    let mut tensors = vec![
        (
            format!("{vision}.embeddings.patch_embedding.weight"),
            vec![row, 3, patch, patch],
            code.weights(),
        ),
        (
            format!("{vision}.embeddings.patch_embedding.bias"),
            vec![row],
            zeros(row),
        ),
        (
            format!("{vision}.embeddings.position_embedding.weight"),
            vec![tokens, row],
            zeros(tokens * row),
        ),
        (format!("{vision}.post_layernorm.weight"), vec![row], vec![1.0; row]),
        (format!("{vision}.post_layernorm.bias"), vec![row], zeros(row)),
        (format!("{layer}.mlp.fc1.weight"), vec![1, row], zeros(row)),
        (format!("{layer}.mlp.fc1.bias"), vec![1], zeros(1)),
        (format!("{layer}.mlp.fc2.weight"), vec![row, 1], zeros(row)),
        (format!("{layer}.mlp.fc2.bias"), vec![row], zeros(row)),
        (
            "model.connector.modality_projection.proj.weight".to_owned(),
            vec![shape.width, row],
            selection,
        ),
    ];
    for norm in ["layer_norm1", "layer_norm2"] {
        for part in ["weight", "bias"] {
            tensors.push((format!("{layer}.{norm}.{part}"), vec![row], zeros(row)));
        }
    }
    for map in ["q_proj", "k_proj", "v_proj", "out_proj"] {
        tensors.push((
            format!("{layer}.self_attn.{map}.weight"),
            vec![row, row],
            zeros(row * row),
        ));
        tensors.push((format!("{layer}.self_attn.{map}.bias"), vec![row], zeros(row)));
    }
    let bytes: Vec<_> = tensors
        .into_iter()
        .map(|(name, shape, numbers)| {
            (
                name,
                shape,
                numbers.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>(),
            )
        })
        .collect();
    let fail = |error: safetensors::SafeTensorError| LoadError::Process(format!("no temporary {FILE}: {error}"));
    let views = bytes
        .iter()
        .map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(fail)?)));
    safetensors::serialize(views.collect::<Result<Vec<_>, LoadError>>()?, None).map_err(fail)
}
