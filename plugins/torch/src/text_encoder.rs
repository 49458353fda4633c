//! CLIP's text tower (Radford et al. 2021): what a UNet reads of a prompt.

use sensorium_kernels::Cpu;
use tch::{Kind, Tensor};

use crate::{
    checkpoint::{Scope, Weights},
    config::{ClipTextConfig, EndOfText},
    error::LoadError,
    lora::Loras,
    nn::{Activation, LayerNorm, Linear, attend},
};

/// A text encoder.
pub struct TextEncoder {
    tokens: Tensor,
    positions: Tensor,
    layers: Vec<Layer>,
    norm: LayerNorm,
    projection: Option<Linear>,
    end: EndOfText,
}

/// What a text encoder makes of texts.
pub struct TextStates {
    /// States after the last layer and the final norm, `[b, tokens, width]`.
    pub last: Tensor,
    /// States after the last but one layer, no norm.
    pub penultimate: Tensor,
    /// The projected state of the end of the text, `[b, projection]`, if there is a projection.
    pub pooled: Option<Tensor>,
}

struct Layer {
    norm1: LayerNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    norm2: LayerNorm,
    up: Linear,
    down: Linear,
    heads: i64,
    activation: Activation,
    cpu: Option<Cpu>,
}

// === impl TextEncoder ===

impl TextEncoder {
    /// Reads the encoder; `component` is how LoRA files call it.
    ///
    /// # Errors
    /// If a tensor is missing, has another shape, or belongs nowhere.
    pub(crate) fn load(
        weights: &Weights<'_>,
        loras: &Loras,
        component: &'static str,
        config: &ClipTextConfig,
    ) -> Result<Self, LoadError> {
        let root = Scope::new(weights, loras, component);
        // transformers 5 leaves the outer name away; LoRA files have it.
        let tower = match root.has("text_model.final_layer_norm.weight") {
            true => root.sub("text_model"),
            false => root.named("text_model"),
        };
        let embeddings = tower.sub("embeddings");
        let layers = tower.sub("encoder.layers");
        let projection = config
            .projection
            .map(|width| Linear::load_without_bias(&root.sub("text_projection"), width, config.width));
        let encoder = Self {
            tokens: embeddings.tensor("token_embedding.weight", &[config.vocabulary, config.width])?,
            positions: embeddings.tensor("position_embedding.weight", &[config.positions, config.width])?,
            layers: (0..config.layers)
                .map(|layer| Layer::load(&layers.sub(layer), config))
                .collect::<Result<_, _>>()?,
            norm: LayerNorm::load(&tower.sub("final_layer_norm"), config.width, config.eps)?,
            projection: projection.transpose()?,
            end: config.end,
        };
        weights.ignore(|name| name.ends_with("embeddings.position_ids"));
        weights.finish()?;
        Ok(encoder)
    }

    /// `ids` is `[b, tokens]` of i64.
    pub fn forward(&self, ids: &Tensor) -> TextStates {
        let length = ids.size()[1];
        let mut x = Tensor::embedding(&self.tokens, ids, -1, false, false) + self.positions.narrow(0, 0, length);
        let mut penultimate = x.shallow_clone();
        for layer in &self.layers {
            penultimate = x;
            x = layer.forward(&penultimate);
        }
        let last = self.norm.forward(&x);
        let pooled = self.projection.as_ref().map(|map| map.forward(&self.pool(&last, ids)));
        TextStates {
            last,
            penultimate,
            pooled,
        }
    }

    /// The state of each text's end, `[b, width]`.
    fn pool(&self, states: &Tensor, ids: &Tensor) -> Tensor {
        let at = match self.end {
            EndOfText::HighestId => ids.argmax(-1, false),
            EndOfText::First(id) => ids.eq(id).to_kind(Kind::Int).argmax(-1, false),
        };
        let width = states.size()[2];
        let at = at.view([-1, 1, 1]).expand([-1, 1, width], false);
        states.gather(1, &at, false).squeeze_dim(1)
    }
}

// === impl Layer ===

impl Layer {
    fn load(scope: &Scope<'_>, config: &ClipTextConfig) -> Result<Self, LoadError> {
        let width = config.width;
        let norm = |name: &str| LayerNorm::load(&scope.sub(name), width, config.eps);
        let square = |name: &str| Linear::load(&scope.sub("self_attn").sub(name), width, width);
        Ok(Self {
            norm1: norm("layer_norm1")?,
            query: square("q_proj")?,
            key: square("k_proj")?,
            value: square("v_proj")?,
            output: square("out_proj")?,
            norm2: norm("layer_norm2")?,
            up: Linear::load(&scope.sub("mlp.fc1"), config.inner, width)?,
            down: Linear::load(&scope.sub("mlp.fc2"), width, config.inner)?,
            heads: config.heads,
            activation: config.activation,
            cpu: scope.kernels().cloned(),
        })
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let normed = self.norm1.forward(x);
        let [query, key, value] = [&self.query, &self.key, &self.value].map(|map| map.forward(&normed));
        let mixed = attend([&query, &key, &value], self.heads, true, self.cpu.as_ref());
        let mut x = self.output.forward(&mixed) + x;
        let inner = self.activation.apply(self.up.forward(&self.norm2.forward(&x)));
        x += self.down.forward(&inner);
        x
    }
}
