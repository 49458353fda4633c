//! Why a model can't be loaded, and whose fault that is.

use sensorium_checkpoint::FileError;
use sensorium_contract::PluginError;

/// Why a model can't be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The registry's entry asks for something that doesn't exist.
    #[error("{0}")]
    Request(String),
    /// A file of the model can't be read or makes no sense.
    #[error(transparent)]
    File(#[from] FileError),
    /// A tensor is missing or has the wrong shape.
    #[error("{file}: tensor `{name}` {problem}")]
    Tensor {
        /// Path within the model's directory.
        file: String,
        /// Name in the checkpoint.
        name: String,
        /// What is wrong with it, continuing the sentence.
        problem: String,
    },
    /// This process has gone wrong.
    #[error("{0}")]
    Process(String),
    /// libtorch failed; out of memory, say.
    #[error("{0}")]
    Compute(#[from] tch::TchError),
}

// === impl LoadError ===

impl LoadError {
    /// `file` is relative to the model's directory.
    pub(crate) fn file(file: impl Into<String>, problem: impl std::fmt::Display) -> Self {
        Self::File(FileError::new(file, problem))
    }

    /// `problem` continues the sentence that the tensor's name begins.
    pub(crate) fn tensor(file: impl Into<String>, name: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Tensor {
            file: file.into(),
            name: name.into(),
            problem: problem.into(),
        }
    }
}

impl From<LoadError> for PluginError {
    fn from(error: LoadError) -> Self {
        let message = error.to_string();
        match error {
            LoadError::Request(_) => PluginError::caller(message),
            LoadError::File(_) | LoadError::Tensor { .. } => PluginError::model(message),
            LoadError::Compute(_) | LoadError::Process(_) => PluginError::instance(message),
        }
    }
}
