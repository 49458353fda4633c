//! Where a model's files are. Relative paths stay inside the registry's directory.

use std::path::{Component, Path, PathBuf};

/// The directory that the `source.path` of a registry in `base` means, absolute and free
/// of symbolic links.
///
/// # Errors
/// A message if it is not there, is no directory, or is relative and leaves `base`.
pub(super) fn resolve(base: &Path, path: &str) -> Result<PathBuf, String> {
    let written = Path::new(path);
    if path.is_empty() {
        return Err("source.path is empty: give the model's directory, or leave source out if it has no files".into());
    }
    if written.is_relative() && written.components().any(|part| part == Component::ParentDir) {
        return Err(format!(
            "source.path {path:?} contains \"..\": a relative path stays inside the registry's directory; \
             give an absolute one to go elsewhere"
        ));
    }
    let base = base
        .canonicalize()
        .map_err(|error| format!("the registry's directory can't be read: {error}"))?;
    let wanted = base.join(written);
    let found = wanted.canonicalize().map_err(|error| {
        let hint = "put the model's files there, or correct the path";
        format!(
            "source.path {path:?} can't be read: {}: {error}; {hint}",
            wanted.display()
        )
    })?;
    if written.is_relative() && !found.starts_with(&base) {
        return Err(format!(
            "source.path {path:?} leaves the registry's directory through a symbolic link to {}; \
             give that absolute path if it is meant",
            found.display()
        ));
    }
    if !found.is_dir() {
        return Err(format!(
            "source.path {path:?} is not a directory: give the one that holds the model's files"
        ));
    }
    Ok(found)
}
