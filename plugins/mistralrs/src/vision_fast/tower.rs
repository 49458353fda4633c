//! Idefics3's vision tower and connector on the CPU kernels, as transformers' `Idefics3Model.get_image_features` has them
//! for square images without padding.

use sensorium_kernels::{
    Activation, Cpu, Encoder, EncoderShape, LayerNorm, LayerWeights, Linear, LinearWeights, NormWeights, PatchEmbed,
    PixelAffine, RgbImages,
};

use super::{
    spread::{most_stretch, norm},
    tensors::Tensors,
};
use crate::error::LoadError;

/// The sizes of tower and connector.
#[derive(Clone, Copy, Debug)]
pub(super) struct TowerShape {
    /// Pixels of an image's side.
    pub(super) side: usize,
    /// Pixels of a patch's side; divides `side`.
    pub(super) patch: usize,
    /// Patches of a row that become one token, with as many rows of them; divides the patches of a row.
    pub(super) shuffle: usize,
    /// Width of the tower.
    pub(super) hidden: usize,
    /// Width of the feed-forward blocks.
    pub(super) intermediate: usize,
    /// Attention heads; divides `hidden`.
    pub(super) heads: usize,
    /// Layers.
    pub(super) layers: usize,
    /// Activation of the feed-forward blocks.
    pub(super) activation: Activation,
    /// Added to the variance in layer norms.
    pub(super) norm_eps: f32,
    /// Width of a token, which is the language model's.
    pub(super) width: usize,
}

/// The tower, packed.
#[derive(Debug)]
pub(super) struct Tower {
    shape: TowerShape,
    patches: PatchEmbed,
    /// `[patches, hidden]`.
    positions: Vec<f32>,
    encoder: Encoder,
    norm: LayerNorm,
    connector: Linear,
    longest: f32,
}

const VISION: &str = "model.vision_model";
const CONNECTOR: &str = "model.connector.modality_projection.proj.weight";

// === impl TowerShape ===

impl TowerShape {
    /// Patches of a row.
    fn patches(&self) -> usize {
        self.side / self.patch
    }

    /// Tokens of a row.
    pub(super) fn grid(&self) -> usize {
        self.patches() / self.shuffle
    }
}

// === impl Tower ===

impl Tower {
    /// Whether these weights have a tower by the names that are read here.
    pub(super) fn is_in(tensors: &Tensors) -> bool {
        tensors.has(CONNECTOR) && tensors.has(&format!("{VISION}.post_layernorm.weight"))
    }

    /// Reads and packs the weights.
    ///
    /// # Errors
    /// If one is missing or has another shape.
    pub(super) fn load(
        tensors: &Tensors,
        shape: TowerShape,
        pixels: PixelAffine,
        cpu: &Cpu,
    ) -> Result<Self, LoadError> {
        let TowerShape {
            patch,
            hidden,
            intermediate,
            norm_eps,
            width,
            ..
        } = shape;
        let weights = Named(tensors);
        let embedding = format!("{VISION}.embeddings.patch_embedding");
        let convolution = LinearWeights {
            weight: tensors.read(&format!("{embedding}.weight"), &[hidden, 3, patch, patch])?,
            bias: Some(tensors.read(&format!("{embedding}.bias"), &[hidden])?),
        };
        let positions = [shape.patches().pow(2), hidden];
        let layers = EncoderShape {
            hidden,
            heads: shape.heads,
            intermediate,
            activation: shape.activation,
            norm_eps,
            norm_first: true,
        };
        let norm = weights.norm(&format!("{VISION}.post_layernorm"), hidden)?;
        let inputs = hidden * shape.shuffle.pow(2);
        let connector = LinearWeights {
            weight: tensors.read(CONNECTOR, &[width, inputs])?,
            bias: None,
        };
        Ok(Self {
            longest: longest(&connector.weight, inputs, &norm),
            patches: PatchEmbed::new(&convolution, hidden, patch, pixels, cpu),
            positions: tensors.read(&format!("{VISION}.embeddings.position_embedding.weight"), &positions)?,
            encoder: Encoder::new(layers, (0..shape.layers).map(|index| weights.layer(index, &shape)), cpu)?,
            norm: LayerNorm::new(norm, norm_eps, cpu),
            connector: Linear::new(&connector, width, inputs, cpu),
            shape,
        })
    }

    /// No token that this tower makes is longer than this, as a vector.
    pub(super) fn longest(&self) -> f32 {
        self.longest
    }

    /// The tokens of an image, `[grid², width]`; `rgb` is `side × side × 3` bytes.
    ///
    /// # Panics
    /// When it isn't.
    pub(super) fn tokens(&self, rgb: &[u8]) -> Vec<f32> {
        let mut rows = self.patches.forward(&RgbImages {
            images: &[rgb],
            width: self.shape.side,
            height: self.shape.side,
        });
        for (row, position) in rows.iter_mut().zip(&self.positions) {
            *row += position;
        }
        self.encoder.forward(&mut rows, &[self.shape.patches().pow(2)], false);
        self.norm.forward(&mut rows);
        self.connector.forward(&self.shuffled(&rows))
    }

    /// Squares of `shuffle × shuffle` patches one after another, each row by row.
    fn shuffled(&self, rows: &[f32]) -> Vec<f32> {
        let TowerShape { shuffle, hidden, .. } = self.shape;
        let (grid, patches) = (self.shape.grid(), self.shape.patches());
        let mut squares = Vec::with_capacity(rows.len());
        for token in 0..grid * grid {
            let (top, left) = (token / grid * shuffle, token % grid * shuffle);
            for y in top..top + shuffle {
                squares.extend_from_slice(&rows[(y * patches + left) * hidden..][..shuffle * hidden]);
            }
        }
        squares
    }
}

/// The longest vector that the connector, rows of `inputs`, can make of rows that the last norm has been over: those are
/// `weight · n + bias` with `|n|² ≤ hidden`.
fn longest(connector: &[f32], inputs: usize, last: &NormWeights) -> f32 {
    let hidden = last.weight.len();
    let scaled: Vec<f32> = connector
        .chunks_exact(hidden)
        .flat_map(|part| part.iter().zip(&last.weight).map(|(c, w)| c * w))
        .collect();
    let shift: Vec<f32> = connector
        .chunks_exact(inputs)
        .map(|row| row.iter().zip(last.bias.iter().cycle()).map(|(c, b)| c * b).sum())
        .collect();
    most_stretch(&scaled, inputs) * (inputs as f32).sqrt() + norm(&shift)
}

/// Weights by the name that goes before `.weight` and `.bias`.
struct Named<'a>(&'a Tensors);

impl Named<'_> {
    fn linear(&self, name: &str, outputs: usize, inputs: usize) -> Result<LinearWeights, LoadError> {
        Ok(LinearWeights {
            weight: self.0.read(&format!("{name}.weight"), &[outputs, inputs])?,
            bias: Some(self.0.read(&format!("{name}.bias"), &[outputs])?),
        })
    }

    fn norm(&self, name: &str, hidden: usize) -> Result<NormWeights, LoadError> {
        Ok(NormWeights {
            weight: self.0.read(&format!("{name}.weight"), &[hidden])?,
            bias: self.0.read(&format!("{name}.bias"), &[hidden])?,
        })
    }

    fn layer(&self, index: usize, shape: &TowerShape) -> Result<LayerWeights, LoadError> {
        let TowerShape {
            hidden, intermediate, ..
        } = *shape;
        let name = format!("{VISION}.encoder.layers.{index}");
        let mut qkv = self.linear(&format!("{name}.self_attn.q_proj"), hidden, hidden)?;
        for part in ["k_proj", "v_proj"] {
            let LinearWeights { weight, bias } = self.linear(&format!("{name}.self_attn.{part}"), hidden, hidden)?;
            qkv.weight.extend(weight);
            if let (Some(all), Some(bias)) = (&mut qkv.bias, bias) {
                all.extend(bias);
            }
        }
        Ok(LayerWeights {
            norm1: self.norm(&format!("{name}.layer_norm1"), hidden)?,
            qkv,
            output: self.linear(&format!("{name}.self_attn.out_proj"), hidden, hidden)?,
            norm2: self.norm(&format!("{name}.layer_norm2"), hidden)?,
            up: self.linear(&format!("{name}.mlp.fc1"), intermediate, hidden)?,
            down: self.linear(&format!("{name}.mlp.fc2"), hidden, intermediate)?,
        })
    }
}
