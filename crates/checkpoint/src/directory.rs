//! Files of a model's directory: none from outside it, none too big, and each one read becomes part of the revision.

use std::{
    fs::{self, File},
    io::Read,
    path::{Component, Path, PathBuf},
};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{FileError, revision::Revision};

/// Largest file that is read whole; a tokenizer.json of 256,000 tokens is 34 MB.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// A model's directory. Directories made from it by [`ModelDir::sub`] share its revision.
#[derive(Debug, Clone)]
pub struct ModelDir {
    /// Canonical.
    root: PathBuf,
    /// Relative to the root; empty for the root itself.
    base: PathBuf,
    /// Where a Hugging Face cache keeps the contents that its snapshots link to.
    blobs: Option<PathBuf>,
    revision: Revision,
}

// === impl ModelDir ===

impl ModelDir {
    /// Opens a model's directory.
    ///
    /// # Errors
    /// If there is no such directory.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let root = path
            .canonicalize()
            .map_err(|error| FileError::new(path.display().to_string(), error))?;
        if !root.is_dir() {
            return Err(FileError::new(path.display().to_string(), "is not a directory"));
        }
        Ok(Self {
            blobs: hub_blobs(&root),
            root,
            base: PathBuf::new(),
            revision: Revision::default(),
        })
    }

    /// The directory `relative` within this one; the same one if `relative` is empty.
    ///
    /// # Errors
    /// If the path leads outside.
    pub fn sub(&self, relative: &str) -> Result<Self, FileError> {
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
    pub fn find(&self, relative: &str) -> Result<Option<PathBuf>, FileError> {
        Ok(self.resolve(relative)?.filter(|path| path.is_file()))
    }

    /// Names of the files right in the directory that end in `extension`, sorted.
    ///
    /// # Errors
    /// If the directory can't be listed, or lies outside the model's.
    pub fn with_extension(&self, extension: &str) -> Result<Vec<String>, FileError> {
        let fail = |error: std::io::Error| FileError::new(self.label("."), error);
        let directory = self.resolve(".")?;
        let directory = directory.ok_or_else(|| FileError::new(self.label("."), "is missing"))?;
        let mut names = Vec::new();
        for entry in fs::read_dir(directory).map_err(fail)? {
            let name = entry.map_err(fail)?.file_name();
            if let Some(name) = name.to_str()
                && Path::new(name).extension().is_some_and(|found| found == extension)
            {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// The whole file, or `None` if there is no such file.
    ///
    /// # Errors
    /// If it can't be read, lies outside, or is larger than 256 MiB.
    pub fn read(&self, relative: &str) -> Result<Option<Vec<u8>>, FileError> {
        let Some(path) = self.find(relative)? else {
            return Ok(None);
        };
        let fail = |error: std::io::Error| FileError::new(self.label(relative), error);
        let file = File::open(path).map_err(fail)?;
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(fail)?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(FileError::new(
                self.label(relative),
                format!("is larger than {MAX_FILE_BYTES} bytes"),
            ));
        }
        self.mark(&self.label(relative), &bytes);
        Ok(Some(bytes))
    }

    /// The file as text, or `None` if there is no such file.
    ///
    /// # Errors
    /// As [`ModelDir::read`], and if it isn't UTF-8.
    pub fn text(&self, relative: &str) -> Result<Option<String>, FileError> {
        let Some(bytes) = self.read(relative)? else {
            return Ok(None);
        };
        let text = String::from_utf8(bytes).map_err(|_| FileError::new(self.label(relative), "is not UTF-8"))?;
        Ok(Some(text))
    }

    /// The file as JSON, or `None` if there is no such file. Members that are null are left out, so that they mean
    /// what absent ones mean.
    ///
    /// # Errors
    /// As [`ModelDir::read`], and if it isn't JSON of this type.
    pub fn json<T: DeserializeOwned>(&self, relative: &str) -> Result<Option<T>, FileError> {
        let Some(bytes) = self.read(relative)? else {
            return Ok(None);
        };
        let fail = |error: serde_json::Error| FileError::new(self.label(relative), error);
        let value = serde_json::from_slice(&bytes).map_err(fail)?;
        serde_json::from_value(without_nulls(value)).map(Some).map_err(fail)
    }

    /// The file as JSON.
    ///
    /// # Errors
    /// As [`ModelDir::json`], and if there is no such file.
    pub fn require_json<T: DeserializeOwned>(&self, relative: &str) -> Result<T, FileError> {
        self.json(relative)?
            .ok_or_else(|| FileError::new(self.label(relative), "is missing"))
    }

    /// The file as a JSON object, or `None` if there is no such file. Members that are null are left out, as in
    /// [`ModelDir::json`].
    ///
    /// # Errors
    /// As [`ModelDir::read`], and if it isn't a JSON object.
    pub fn object(&self, relative: &str) -> Result<Option<Map<String, Value>>, FileError> {
        match self.json(relative)? {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(_) => Err(FileError::new(self.label(relative), "is not a JSON object")),
        }
    }

    /// The file as a JSON object.
    ///
    /// # Errors
    /// As [`ModelDir::object`], and if there is no such file.
    pub fn require_object(&self, relative: &str) -> Result<Map<String, Value>, FileError> {
        self.object(relative)?
            .ok_or_else(|| FileError::new(self.label(relative), "is missing"))
    }

    /// How messages name a file of this directory.
    pub fn label(&self, relative: &str) -> String {
        self.base.join(relative).display().to_string()
    }

    /// Makes `bytes` part of the revision.
    pub fn mark(&self, name: &str, bytes: &[u8]) {
        self.revision.mark(name, bytes);
    }

    /// Makes a file of weights, which is read elsewhere, part of the revision; gives its length in bytes. Of files larger
    /// than 2 GiB every 64th MiB counts.
    ///
    /// # Errors
    /// If there is no such file, or it can't be read.
    pub fn mark_weights(&self, relative: &str) -> Result<u64, FileError> {
        let label = self.label(relative);
        let path = self.find(relative)?;
        let path = path.ok_or_else(|| FileError::new(label.as_str(), "is missing"))?;
        let marked = File::open(path).and_then(|mut file| self.revision.mark_weights(&label, &mut file));
        marked.map_err(|error| FileError::new(label, error))
    }

    /// Identifies everything read and marked so far, in the order of reading.
    pub fn revision(&self) -> String {
        self.revision.digits()
    }

    /// The canonical path of what is there, or `None` if nothing is.
    fn resolve(&self, relative: &str) -> Result<Option<PathBuf>, FileError> {
        check_relative(relative)?;
        let path = self.root.join(&self.base).join(relative);
        let canonical = match path.canonicalize() {
            Ok(canonical) => canonical,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(FileError::new(self.label(relative), error)),
        };
        let inside =
            canonical.starts_with(&self.root) || self.blobs.as_ref().is_some_and(|blobs| canonical.starts_with(blobs));
        if !inside {
            return Err(FileError::new(
                self.label(relative),
                "links to a place outside the model's directory; copy the file into it",
            ));
        }
        Ok(Some(canonical))
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
fn check_relative(relative: &str) -> Result<(), FileError> {
    let plain = Path::new(relative)
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    match plain {
        true => Ok(()),
        false => Err(FileError::new(relative, "leads outside the model's directory")),
    }
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => members
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
    fn files_are_listed_by_their_extension() {
        let temp = tempfile::tempdir().expect("temp dir");
        for name in ["b.gguf", "a.gguf", "c.bin", "gguf"] {
            fs::write(temp.path().join(name), "x").expect("file");
        }
        std::os::unix::fs::symlink("/usr", temp.path().join("usr")).expect("link");
        let dir = ModelDir::open(temp.path()).expect("opens");
        assert_eq!(dir.with_extension("gguf").expect("lists"), ["a.gguf", "b.gguf"]);
        for sub in ["usr", "none"] {
            let message = dir.sub(sub).expect("inside").with_extension("gguf").expect_err(sub);
            assert!(message.file.starts_with(sub), "{message}");
        }
    }

    #[test]
    fn objects_are_told_from_other_json() {
        let temp = tempfile::tempdir().expect("temp dir");
        let object = |content: &[u8]| {
            fs::write(temp.path().join("config.json"), content).expect("file");
            let dir = ModelDir::open(temp.path()).expect("opens");
            dir.require_object("config.json").map_err(|error| error.to_string())
        };
        let left = object(br#"{"a": null, "b": {"c": null}}"#).expect("an object");
        assert_eq!(Value::Object(left), serde_json::json!({"b": {}}));
        assert_eq!(object(b"[]"), Err("config.json: is not a JSON object".to_owned()));
        let message = object(b"{").expect_err("cut off");
        assert!(message.starts_with("config.json: EOF"), "{message}");
        fs::remove_file(temp.path().join("config.json")).expect("removed");
        let dir = ModelDir::open(temp.path()).expect("opens");
        let message = dir.require_object("config.json").expect_err("gone").to_string();
        assert_eq!(message, "config.json: is missing");
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
