//! BERT (Devlin et al. 2018, <https://arxiv.org/abs/1810.04805>), RoBERTa and DistilBERT, pooled as
//! sentence-transformers does (<https://arxiv.org/abs/1908.10084>).

use candle_core::{Device, Result, Tensor};

use super::{TextTower, rows::to_rows, siglip::activate, table::Table};
use crate::{
    checkpoint::{BERT_LAYER, DISTILBERT_LAYER, ModelDir, Weights},
    config::{BertConfig, BertLayout},
    error::LoadError,
    nn::{Activation, Compute, Encoder, LayerNorm, Linear, LinearWeights},
    sentence::{self, DenseActivation, PoolingMode, SentenceConfig, Step},
};

/// A text encoder of the BERT family, with what makes its token vectors one vector.
pub(super) struct Bert {
    tokens: Table,
    positions: Table,
    /// The embedding of token type 0, `[1, hidden]`.
    token_type: Option<Tensor>,
    norm: LayerNorm,
    encoder: Encoder,
    first_position: usize,
    pooling: Vec<PoolingMode>,
    steps: Vec<LoadedStep>,
}

enum LoadedStep {
    Normalize,
    Dense(Linear, DenseActivation),
}

// === impl Bert ===

impl Bert {
    /// Reads the encoder from `weights`, and the weights of further modules from `dir`. An encoder's own pooler, which
    /// sentence embeddings don't use, is left unread.
    pub(super) fn load(
        dir: &ModelDir,
        weights: &Weights<'_>,
        config: &BertConfig,
        sentence: &SentenceConfig,
        compute: &Compute,
    ) -> std::result::Result<Self, LoadError> {
        let prefix = weights.prefix("embeddings.word_embeddings.weight")?;
        let (tower, hidden) = (&config.tower, config.tower.encoder.hidden);
        let name = |part: &str| format!("{prefix}embeddings.{part}");
        let table = |part: &str, rows| Table::load(weights, &name(part), rows, hidden, compute);
        let (layer_prefix, names) = match config.layout {
            BertLayout::Bert | BertLayout::Roberta => ("encoder.layer", &BERT_LAYER),
            BertLayout::DistilBert => ("transformer.layer", &DISTILBERT_LAYER),
        };
        let layer = |index: usize| {
            let prefix = format!("{prefix}{layer_prefix}.{index}.");
            weights.layer(&prefix, names, hidden, tower.encoder.intermediate)
        };
        let layers = (0..tower.layers)
            .map(layer)
            .collect::<std::result::Result<Vec<_>, _>>()?;
        let token_type = match config.token_types {
            0 => None,
            rows => Some(table("token_type_embeddings.weight", rows)?.rows(vec![0])?),
        };
        Ok(Self {
            tokens: table("word_embeddings.weight", tower.vocabulary)?,
            positions: table("position_embeddings.weight", tower.positions)?,
            token_type,
            norm: LayerNorm::new(
                weights.norm(&name("LayerNorm"), hidden)?,
                tower.encoder.norm_eps,
                compute,
            )?,
            encoder: Encoder::new(tower.encoder.clone(), layers, compute)?,
            first_position: config.first_position,
            pooling: sentence.pooling.clone(),
            steps: sentence
                .steps
                .iter()
                .map(|step| LoadedStep::load(dir, step, compute))
                .collect::<std::result::Result<_, _>>()?,
        })
    }

    /// RoBERTa doesn't count padding tokens, whose id is one less than the first position, even in the middle.
    fn positions(&self, ids: &[u32]) -> Vec<u32> {
        let Some(padding) = self.first_position.checked_sub(1) else {
            return (0..ids.len() as u32).collect();
        };
        let padding = padding as u32;
        let mut next = padding;
        let position = |id: &u32| match *id == padding {
            true => padding,
            false => {
                next += 1;
                next
            }
        };
        ids.iter().map(position).collect()
    }
}

impl TextTower for Bert {
    fn embed(&self, texts: &[&[u32]]) -> Result<Vec<Vec<f32>>> {
        let lengths: Vec<usize> = texts.iter().map(|ids| ids.len()).collect();
        let positions = texts.iter().flat_map(|ids| self.positions(ids)).collect();
        let mut x = (self.tokens.rows(texts.concat())? + self.positions.rows(positions)?)?;
        if let Some(token_type) = &self.token_type {
            x = x.broadcast_add(token_type)?;
        }
        let x = self.encoder.forward(&self.norm.forward(&x)?, &lengths, false)?;
        let (rows, hidden) = (x.to_device(&Device::Cpu)?.flatten_all()?.to_vec1::<f32>()?, x.dim(1)?);
        let mut start = 0;
        let pooled = lengths.iter().map(|length| {
            let tokens = &rows[start * hidden..(start + length) * hidden];
            start += length;
            sentence::pool(&self.pooling, tokens, hidden)
        });
        self.steps
            .iter()
            .try_fold(pooled.collect(), |vectors, step| step.apply(vectors))
    }
}

// === impl LoadedStep ===

impl LoadedStep {
    fn load(dir: &ModelDir, step: &Step, compute: &Compute) -> std::result::Result<Self, LoadError> {
        let Step::Dense(dense) = step else {
            return Ok(Self::Normalize);
        };
        let weights = Weights::open(&dir.sub(&dense.path)?, &|_| {})?;
        let weight = weights.tensor("linear.weight", &[dense.output, dense.input])?;
        let bias = match dense.bias {
            true => Some(weights.tensor("linear.bias", &[dense.output])?),
            false => None,
        };
        Ok(Self::Dense(
            Linear::new(LinearWeights { weight, bias }, compute)?,
            dense.activation,
        ))
    }

    fn apply(&self, mut vectors: Vec<Vec<f32>>) -> Result<Vec<Vec<f32>>> {
        match self {
            Self::Normalize => {
                for vector in &mut vectors {
                    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-12);
                    vector.iter_mut().for_each(|x| *x /= norm);
                }
                Ok(vectors)
            }
            Self::Dense(linear, activation) => {
                let (count, width) = (vectors.len(), vectors.first().map_or(0, Vec::len));
                let x = linear.forward(&Tensor::from_vec(vectors.concat(), (count, width), &Device::Cpu)?)?;
                to_rows(&activation.apply(&x)?)
            }
        }
    }
}

// === impl DenseActivation ===

impl DenseActivation {
    fn apply(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Identity => Ok(x.clone()),
            Self::Tanh => x.tanh(),
            Self::Relu => activate(Activation::Relu, x),
            Self::Gelu => activate(Activation::Gelu, x),
            Self::Silu => activate(Activation::Silu, x),
        }
    }
}
