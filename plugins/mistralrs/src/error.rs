//! Why a model can't be loaded, and whose fault that is.

use sensorium_checkpoint::FileError;
use sensorium_contract::PluginError;

/// Why a model can't be loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// The registry's entry asks for something that doesn't exist.
    #[error("{0}")]
    Request(String),
    /// A file of the model can't be read or makes no sense.
    #[error(transparent)]
    File(#[from] FileError),
    /// The model needs something that this plugin doesn't do.
    #[error("{0}")]
    Unsupported(String),
    /// mistral.rs can't load the files, though they looked right.
    #[error("mistral.rs can't load this model: {0}")]
    Engine(String),
    /// This process can't do its part: no thread, no temporary directory.
    #[error("{0}")]
    Process(String),
}

// === impl LoadError ===

impl LoadError {
    /// `file` is relative to the model's directory.
    pub(crate) fn file(file: impl Into<String>, problem: impl std::fmt::Display) -> Self {
        Self::File(FileError::new(file, problem))
    }
}

impl From<LoadError> for PluginError {
    fn from(error: LoadError) -> Self {
        let message = error.to_string();
        match error {
            LoadError::Request(_) => PluginError::caller(message),
            LoadError::File(_) | LoadError::Unsupported(_) | LoadError::Engine(_) => PluginError::model(message),
            LoadError::Process(_) => PluginError::instance(message),
        }
    }
}
