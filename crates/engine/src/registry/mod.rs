//! The registry: which models there are, from a TOML file.
//!
//! ```text
//! text --read--> raw (types checked) --validate--> Registry (everything checked)
//! ```
//! Both steps go on after a mistake, so that [`RegistryError`] names all of them at once,
//! each with its line.

mod catalog;
mod diff;
mod model;
mod options;
mod problem;
mod raw;
mod read;
mod source;
#[cfg(test)]
mod tests;
mod validate;

use std::path::{Path, PathBuf};

pub use catalog::PluginCatalog;
pub(crate) use diff::RegistryDiff;
pub use model::{BatchConfig, Dtype, LoadPolicy, ModelConfig, TokenInput, Truncate};
pub use problem::{Problem, RegistryError};
pub use raw::registry_schema;

/// The largest registry that is read, in bytes.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// The models that are served, in the order of the file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Registry {
    /// At least one, unless it is the default; no two share a name.
    pub models: Vec<ModelConfig>,
}

// === impl Registry ===

impl Registry {
    /// Reads and checks the file, asking each plugin of it what it is.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub async fn load(file: &Path, plugins: &PluginCatalog) -> Result<Self, RegistryError> {
        let text = read_file(file)
            .await
            .map_err(|message| RegistryError::whole(file, message))?;
        let document = read::read(file, &text)?;
        let plugins = plugins.look_up(document.plugins()).await;
        validate::validate(file, document, &plugins)
    }

    /// The model with this id.
    pub fn get(&self, id: &str) -> Option<&ModelConfig> {
        self.models.iter().find(|model| model.id == id)
    }
}

/// Reads and checks a registry without serving it: what `sensorium registry check` does.
///
/// # Errors
/// Everything that is wrong with it.
pub async fn check_registry(file: &Path, plugin_path: &[PathBuf]) -> Result<Registry, RegistryError> {
    Registry::load(file, &PluginCatalog::new(plugin_path.to_vec())).await
}

async fn read_file(file: &Path) -> Result<String, String> {
    let hint = "name the registry with --registry FILE";
    let metadata = tokio::fs::metadata(file)
        .await
        .map_err(|error| format!("can't be read: {error}; {hint}"))?;
    if !metadata.is_file() {
        return Err(format!("is not a file; {hint}"));
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(format!(
            "has {} bytes; a registry has at most {MAX_FILE_BYTES}",
            metadata.len()
        ));
    }
    tokio::fs::read_to_string(file)
        .await
        .map_err(|error| format!("can't be read: {error}; save it as UTF-8 text"))
}
