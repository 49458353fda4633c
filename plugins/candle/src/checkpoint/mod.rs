//! A model's checkpoint: the directory, which all plugins read alike, and the tensors in its safetensors.

mod names;
mod weights;

pub(crate) use names::{BERT_LAYER, CLIP_LAYER, DISTILBERT_LAYER, LayerNames};
pub(crate) use sensorium_checkpoint::ModelDir;
pub(crate) use weights::Weights;
