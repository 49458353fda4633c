//! A model's directory on disk: its files, and the tensors in its safetensors.

mod directory;
mod names;
mod weights;

pub(crate) use directory::ModelDir;
pub(crate) use names::{BERT_LAYER, CLIP_LAYER, DISTILBERT_LAYER, LayerNames};
pub(crate) use weights::Weights;
