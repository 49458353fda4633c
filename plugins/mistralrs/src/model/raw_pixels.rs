//! LLaVA's pixels without rounding. mistral.rs makes bf16 of them once they are normalised (llava_inputs_processor.rs:408),
//! which changes every one of them; as bytes they fit into bf16 as they are. So the engine is told not to normalise, and
//! the tower's first convolution does it: its weights are scaled, and what the means add goes into the positions.

use std::path::PathBuf;

use safetensors::{Dtype, tensor::TensorView};
use serde_json::{Map, Value, json};

use super::facts::Facts;
use crate::{
    checkpoint::Staging,
    error::LoadError,
    vision_fast::{Source, tensors::Tensors},
};

/// The file with the tensors that are replaced.
const FILE: &str = "pixels.safetensors";

/// Where the tower's embeddings are.
const EMBEDDINGS: &str = "vision_tower.vision_model.embeddings";

/// Writes weights that take pixels from 0 to 255, and the configuration that leaves them so.
///
/// # Errors
/// If the weights don't fit the configuration.
pub(super) fn stage(source: Source<'_>, staging: &Staging) -> Result<PathBuf, LoadError> {
    let tower = Facts::new("config.json", source.config).section("vision_config")?;
    let hidden = tower.positive("hidden_size")? as usize;
    let (side, patch) = (
        tower.positive("image_size")? as usize,
        tower.positive("patch_size")? as usize,
    );
    let patches = (side / patch).pow(2);
    let tensors = Tensors::open(source.weights)?;
    let kernel_name = format!("{EMBEDDINGS}.patch_embedding.weight");
    let positions_name = format!("{EMBEDDINGS}.position_embedding.weight");
    let (kernel_shape, positions_shape) = ([hidden, 3, patch, patch], [patches + 1, hidden]);
    let mut kernel = tensors.read(&kernel_name, &kernel_shape)?;
    let mut positions = tensors.read(&positions_name, &positions_shape)?;
    fold(affine(source.preprocessor), &mut kernel, &mut positions, hidden);

    let mut preprocessor = source.preprocessor.clone();
    preprocessor.insert("do_rescale".to_owned(), json!(false));
    preprocessor.insert("do_normalize".to_owned(), json!(false));
    staging.write_json("preprocessor_config.json", &preprocessor)?;
    let made = [
        (kernel_name, kernel_shape.to_vec(), bytes(&kernel)),
        (positions_name, positions_shape.to_vec(), bytes(&positions)),
    ];
    let fail = |error: safetensors::SafeTensorError| LoadError::Process(format!("no temporary {FILE}: {error}"));
    let views = made
        .iter()
        .map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(fail)?)));
    let file = safetensors::serialize(views.collect::<Result<Vec<_>, LoadError>>()?, None).map_err(fail)?;
    staging.write(FILE, &file)
}

/// What normalising multiplies the bytes of each channel by, and what it adds.
fn affine(preprocessor: &Map<String, Value>) -> [(f64, f64); 3] {
    let flag = |key: &str| preprocessor.get(key).and_then(Value::as_bool).unwrap_or(true);
    let of = |key: &str, channel: usize, default: f64| {
        let number = preprocessor
            .get(key)
            .and_then(|list| list.get(channel))
            .and_then(Value::as_f64);
        number.filter(|_| flag("do_normalize")).unwrap_or(default)
    };
    let rescale = preprocessor.get("rescale_factor").and_then(Value::as_f64);
    let rescale = rescale.filter(|_| flag("do_rescale")).unwrap_or(1.0);
    // CLIP's own.
    let (means, stds) = match flag("do_normalize") {
        true => (
            [0.48145466, 0.4578275, 0.40821073],
            [0.26862954, 0.26130258, 0.27577711],
        ),
        false => ([0.0; 3], [1.0; 3]),
    };
    std::array::from_fn(|channel| {
        let mean = of("image_mean", channel, means[channel]);
        let std = of("image_std", channel, stds[channel]);
        (rescale / std, -mean / std)
    })
}

/// Puts the affine map of each channel into the convolution's weights (`hidden` × 3 × patch²) and the positions (one row
/// of `hidden` for the class, then one for each patch).
fn fold(affine: [(f64, f64); 3], kernel: &mut [f32], positions: &mut [f32], hidden: usize) {
    let per_channel = kernel.len() / hidden / 3;
    let mut added = vec![0.0f64; hidden];
    for (unit, weights) in kernel.chunks_exact_mut(3 * per_channel).enumerate() {
        for (channel, weights) in weights.chunks_exact_mut(per_channel).enumerate() {
            let (factor, offset) = affine[channel];
            for weight in weights {
                added[unit] += f64::from(*weight) * offset;
                *weight = (f64::from(*weight) * factor) as f32;
            }
        }
    }
    for position in positions.chunks_exact_mut(hidden).skip(1) {
        for (value, added) in position.iter_mut().zip(&added) {
            *value += *added as f32;
        }
    }
}

fn bytes(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_comes_to_the_same() {
        let affine = [(0.5, -1.0), (0.25, 2.0), (2.0, 0.5)];
        // Two units, patches of one pixel.
        let (kernel, positions) = ([1.0, 2.0, 3.0, -1.0, 0.5, 4.0], [9.0, 9.0, 0.1, 0.2]);
        let pixel = [10.0, 20.0, 30.0];
        let expected: Vec<f32> = (0..2)
            .map(|unit| {
                let channel = |c: usize| kernel[3 * unit + c] * (pixel[c] * affine[c].0 as f32 + affine[c].1 as f32);
                positions[2 + unit] + (0..3).map(channel).sum::<f32>()
            })
            .collect();
        let (mut folded, mut moved) = (kernel, positions);
        fold(affine, &mut folded, &mut moved, 2);
        assert_eq!(moved[..2], positions[..2], "the class has no pixels");
        for unit in 0..2 {
            let made = moved[2 + unit] + (0..3).map(|c| folded[3 * unit + c] * pixel[c]).sum::<f32>();
            assert!((made - expected[unit]).abs() < 1e-4, "{made} {}", expected[unit]);
        }
    }
}
