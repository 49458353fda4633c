//! A private directory with the files as mistral.rs is to read them: configuration that has been checked and put right, and weights that
//! take the place of some of the model's own.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};
use tempfile::TempDir;

use crate::error::LoadError;

/// The directory; removed when dropped, once the model has been loaded.
#[derive(Debug)]
pub(crate) struct Staging(TempDir);

// === impl Staging ===

impl Staging {
    /// An empty one.
    ///
    /// # Errors
    /// If there is no room for temporary files.
    pub(crate) fn new() -> Result<Self, LoadError> {
        let directory = tempfile::Builder::new().prefix("sensorium-mistralrs-").tempdir();
        directory
            .map(Self)
            .map_err(|error| LoadError::Process(format!("no temporary directory: {error}")))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file.
    ///
    /// # Errors
    /// If there is no room for it.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> Result<PathBuf, LoadError> {
        let path = self.path().join(name);
        fs::write(&path, content).map_err(|error| LoadError::Process(format!("no temporary {name}: {error}")))?;
        Ok(path)
    }

    /// Writes a JSON file.
    ///
    /// # Errors
    /// If there is no room for it.
    pub(crate) fn write_json(&self, name: &str, object: &Map<String, Value>) -> Result<PathBuf, LoadError> {
        self.write(name, Value::Object(object.clone()).to_string().as_bytes())
    }
}
