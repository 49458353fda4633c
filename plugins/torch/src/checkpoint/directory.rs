//! Files of a model's directory: none from outside it, none too big, and each one read becomes part of the revision.

use std::{
    cell::RefCell,
    fs,
    io::Read,
    path::{Component, Path, PathBuf},
    rc::Rc,
};

use serde::de::DeserializeOwned;

use crate::error::LoadError;

/// Largest file that is read whole; a tokenizer.json of 256,000 tokens is 34 MB.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// A model's directory. Directories made from it by [`ModelDir::sub`] share its revision.
#[derive(Debug, Clone)]
pub(crate) struct ModelDir {
    /// Canonical.
    root: PathBuf,
    /// Relative to the root; empty for the root itself.
    base: PathBuf,
    /// Where a Hugging Face cache keeps the contents that its snapshots link to.
    blobs: Option<PathBuf>,
    revision: Rc<RefCell<blake3::Hasher>>,
}

// === impl ModelDir ===

impl ModelDir {
    /// Opens a model's directory.
    ///
    /// # Errors
    /// If there is no such directory.
    pub(crate) fn open(path: &Path) -> Result<Self, LoadError> {
        let root = path
            .canonicalize()
            .map_err(|error| LoadError::file(path.display().to_string(), error))?;
        if !root.is_dir() {
            return Err(LoadError::file(path.display().to_string(), "is not a directory"));
        }
        Ok(Self {
            blobs: hub_blobs(&root),
            root,
            base: PathBuf::new(),
            revision: Rc::default(),
        })
    }

    /// The directory `relative` within this one; the same one if `relative` is empty.
    ///
    /// # Errors
    /// If the path leads outside.
    pub(crate) fn sub(&self, relative: &str) -> Result<Self, LoadError> {
        check_relative(relative)?;
        Ok(Self {
            base: self.base.join(relative),
            ..self.clone()
        })
    }

    /// The file's canonical path, or `None` if there is no such file.
    ///
    /// # Errors
    /// If the path, or what it links to, lies outside the model's directory and its Hugging Face cache entry.
    pub(crate) fn find(&self, relative: &str) -> Result<Option<PathBuf>, LoadError> {
        check_relative(relative)?;
        let path = self.root.join(&self.base).join(relative);
        let canonical = match path.canonicalize() {
            Ok(canonical) => canonical,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(LoadError::file(self.label(relative), error)),
        };
        let inside =
            canonical.starts_with(&self.root) || self.blobs.as_ref().is_some_and(|blobs| canonical.starts_with(blobs));
        if !inside {
            return Err(LoadError::file(
                self.label(relative),
                "links to a place outside the model's directory; copy the file into it",
            ));
        }
        Ok(canonical.is_file().then_some(canonical))
    }

    /// The whole file, or `None` if there is no such file.
    ///
    /// # Errors
    /// If it can't be read, lies outside, or is larger than 256 MiB.
    pub(crate) fn read(&self, relative: &str) -> Result<Option<Vec<u8>>, LoadError> {
        let Some(path) = self.find(relative)? else {
            return Ok(None);
        };
        let fail = |error: std::io::Error| LoadError::file(self.label(relative), error);
        let file = fs::File::open(path).map_err(fail)?;
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(fail)?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(LoadError::file(
                self.label(relative),
                format!("is larger than {MAX_FILE_BYTES} bytes"),
            ));
        }
        self.mark(&self.label(relative), &bytes);
        Ok(Some(bytes))
    }

    /// The file as JSON, or `None` if there is no such file. Members that are null are left out, so that they mean
    /// what absent ones mean.
    ///
    /// # Errors
    /// As [`ModelDir::read`], and if it isn't JSON of this type.
    pub(crate) fn json<T: DeserializeOwned>(&self, relative: &str) -> Result<Option<T>, LoadError> {
        let Some(bytes) = self.read(relative)? else {
            return Ok(None);
        };
        let fail = |error: serde_json::Error| LoadError::file(self.label(relative), error);
        let value = serde_json::from_slice(&bytes).map_err(fail)?;
        serde_json::from_value(without_nulls(value)).map(Some).map_err(fail)
    }

    /// The file as JSON.
    ///
    /// # Errors
    /// As [`ModelDir::json`], and if there is no such file.
    pub(crate) fn require_json<T: DeserializeOwned>(&self, relative: &str) -> Result<T, LoadError> {
        self.json(relative)?
            .ok_or_else(|| LoadError::file(self.label(relative), "is missing"))
    }

    /// How messages name a file of this directory.
    pub(crate) fn label(&self, relative: &str) -> String {
        self.base.join(relative).display().to_string()
    }

    /// Makes `bytes` part of the revision.
    pub(crate) fn mark(&self, name: &str, bytes: &[u8]) {
        let mut revision = self.revision.borrow_mut();
        for part in [name.as_bytes(), bytes] {
            revision.update(&(part.len() as u64).to_le_bytes());
            revision.update(part);
        }
    }

    /// Identifies everything read and marked so far, in the order of reading.
    pub(crate) fn revision(&self) -> String {
        self.revision.borrow().finalize().to_hex()[..32].to_owned()
    }
}

/// `…/models--org--name/blobs` if `root` is `…/models--org--name/snapshots/<commit>`.
fn hub_blobs(root: &Path) -> Option<PathBuf> {
    let snapshots = root
        .parent()
        .filter(|parent| parent.file_name().is_some_and(|name| name == "snapshots"))?;
    snapshots.parent()?.join("blobs").canonicalize().ok()
}

/// Refuses absolute paths and `..`.
fn check_relative(relative: &str) -> Result<(), LoadError> {
    let plain = Path::new(relative)
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    match plain {
        true => Ok(()),
        false => Err(LoadError::file(relative, "leads outside the model's directory")),
    }
}

fn without_nulls(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(members) => members
            .into_iter()
            .filter(|(_, member)| !member.is_null())
            .map(|(key, member)| (key, without_nulls(member)))
            .collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_outside_are_refused_and_hub_blobs_allowed() {
        let temp = tempfile::tempdir().expect("temp dir");
        let hub = temp.path().join("models--a--b");
        let snapshot = hub.join("snapshots/0123");
        fs::create_dir_all(&snapshot).expect("dirs");
        fs::create_dir_all(hub.join("blobs")).expect("dirs");
        fs::write(hub.join("blobs/c0ffee"), "{}").expect("blob");
        fs::write(temp.path().join("secret.json"), "{}").expect("file");
        std::os::unix::fs::symlink("../../blobs/c0ffee", snapshot.join("config.json")).expect("link");
        std::os::unix::fs::symlink(temp.path().join("secret.json"), snapshot.join("evil.json")).expect("link");

        let dir = ModelDir::open(&snapshot).expect("opens");
        assert!(dir.find("config.json").expect("inside").is_some());
        assert!(dir.find("nothing.json").expect("inside").is_none());
        for path in ["evil.json", "../../../secret.json", "/etc/passwd", "a/../../b"] {
            let message = dir.find(path).expect_err(path).to_string();
            assert!(message.contains("outside"), "{message}");
        }
    }

    #[test]
    fn the_revision_is_what_was_read() {
        let temp = tempfile::tempdir().expect("temp dir");
        let revision = |content: &str| {
            fs::write(temp.path().join("config.json"), content).expect("file");
            let dir = ModelDir::open(temp.path()).expect("opens");
            dir.read("config.json").expect("reads");
            dir.revision()
        };
        assert_eq!(revision("{}"), revision("{}"));
        assert_ne!(revision("{}"), revision("{ }"));
    }
}
