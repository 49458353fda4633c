//! A model's directory on disk: its files, and the tensors in its safetensors.

mod directory;
mod safetensors;
mod scope;
mod weights;

pub(crate) use directory::ModelDir;
pub(crate) use safetensors::TensorFile;
pub(crate) use scope::Scope;
pub use weights::Target;
pub(crate) use weights::Weights;
