//! A model's checkpoint: the directory, which all plugins read alike, and the tensors in its safetensors.

mod safetensors;
mod scope;
mod weights;

pub(crate) use safetensors::TensorFile;
pub(crate) use scope::Scope;
pub(crate) use sensorium_checkpoint::ModelDir;
pub use weights::Target;
pub(crate) use weights::Weights;
