//! Files of a model's directory: none from outside it, none too big, and each one read becomes part of the revision.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    path::{Component, Path, PathBuf},
};

use serde_json::{Map, Value};

use crate::error::LoadError;

/// Largest file that is read whole; a tokenizer.json of 256,000 tokens is 34 MB.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// Weights are hashed whole up to this size; of larger files every 64th piece, which tells any two trainings apart.
const HASHED_WHOLE: u64 = 2 << 30;

/// What is read of weights at once.
const PIECE: usize = 1 << 20;

/// A model's directory.
#[derive(Debug)]
pub(crate) struct ModelDir {
    /// Canonical.
    root: PathBuf,
    /// Where a Hugging Face cache keeps the contents that its snapshots link to.
    blobs: Option<PathBuf>,
    revision: RefCell<blake3::Hasher>,
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
            revision: RefCell::default(),
        })
    }

    /// The file's canonical path, or `None` if there is no such file.
    ///
    /// # Errors
    /// If the path, or what it links to, lies outside the model's directory and its Hugging Face cache entry.
    pub(crate) fn find(&self, relative: &str) -> Result<Option<PathBuf>, LoadError> {
        let plain = Path::new(relative)
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !plain {
            return Err(LoadError::file(relative, "leads outside the model's directory"));
        }
        let canonical = match self.root.join(relative).canonicalize() {
            Ok(canonical) => canonical,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(LoadError::file(relative, error)),
        };
        let inside =
            canonical.starts_with(&self.root) || self.blobs.as_ref().is_some_and(|blobs| canonical.starts_with(blobs));
        if !inside {
            let problem = "links to a place outside the model's directory; copy the file into it";
            return Err(LoadError::file(relative, problem));
        }
        Ok(canonical.is_file().then_some(canonical))
    }

    /// Names of the files right in the directory that end in `extension`, sorted.
    ///
    /// # Errors
    /// If the directory can't be listed.
    pub(crate) fn with_extension(&self, extension: &str) -> Result<Vec<String>, LoadError> {
        let fail = |error: std::io::Error| LoadError::file(".", error);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.root).map_err(fail)? {
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
    pub(crate) fn read(&self, relative: &str) -> Result<Option<Vec<u8>>, LoadError> {
        let Some(path) = self.find(relative)? else {
            return Ok(None);
        };
        let fail = |error: std::io::Error| LoadError::file(relative, error);
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(fail)?;
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(fail)?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(LoadError::file(
                relative,
                format!("is larger than {MAX_FILE_BYTES} bytes"),
            ));
        }
        self.mark(relative, &bytes);
        Ok(Some(bytes))
    }

    /// The file as text, or `None` if there is no such file.
    ///
    /// # Errors
    /// As [`ModelDir::read`], and if it isn't UTF-8.
    pub(crate) fn text(&self, relative: &str) -> Result<Option<String>, LoadError> {
        let Some(bytes) = self.read(relative)? else {
            return Ok(None);
        };
        let text = String::from_utf8(bytes).map_err(|_| LoadError::file(relative, "is not UTF-8"))?;
        Ok(Some(text))
    }

    /// The file as a JSON object, or `None` if there is no such file. Members that are null are left out, so that they
    /// mean what absent ones mean.
    ///
    /// # Errors
    /// As [`ModelDir::read`], and if it isn't a JSON object.
    pub(crate) fn object(&self, relative: &str) -> Result<Option<Map<String, Value>>, LoadError> {
        let Some(bytes) = self.read(relative)? else {
            return Ok(None);
        };
        match serde_json::from_slice(&bytes).map(without_nulls) {
            Ok(Value::Object(object)) => Ok(Some(object)),
            Ok(_) => Err(LoadError::file(relative, "is not a JSON object")),
            Err(error) => Err(LoadError::file(relative, error)),
        }
    }

    /// The file as a JSON object.
    ///
    /// # Errors
    /// As [`ModelDir::object`], and if there is no such file.
    pub(crate) fn require_object(&self, relative: &str) -> Result<Map<String, Value>, LoadError> {
        self.object(relative)?
            .ok_or_else(|| LoadError::file(relative, "is missing"))
    }

    /// Names of the weights: `model.safetensors`, the shards that the index lists, or all safetensors there are.
    ///
    /// # Errors
    /// If there are none. A directory with only pickles is told how to convert them.
    pub(crate) fn weights(&self) -> Result<Vec<String>, LoadError> {
        if let Some(index) = self.object("model.safetensors.index.json")? {
            let map = index.get("weight_map").and_then(Value::as_object);
            let map = map.ok_or_else(|| LoadError::file("model.safetensors.index.json", "has no `weight_map`"))?;
            let names: BTreeSet<&str> = map.values().filter_map(Value::as_str).collect();
            for name in &names {
                if self.find(name)?.is_none() {
                    return Err(LoadError::file(*name, "is missing; the index lists it"));
                }
            }
            return Ok(names.into_iter().map(str::to_owned).collect());
        }
        let names = self.with_extension("safetensors")?;
        if names.is_empty() {
            let problem = match self.with_extension("bin")?.is_empty() {
                true => "is missing",
                false => {
                    "is missing, and pickles are never read; convert with transformers: \
                     save_pretrained(directory, safe_serialization=True)"
                }
            };
            return Err(LoadError::file("model.safetensors", problem));
        }
        Ok(names)
    }

    /// Makes a weight file part of the revision.
    ///
    /// # Errors
    /// If it can't be read.
    pub(crate) fn mark_weights(&self, name: &str) -> Result<u64, LoadError> {
        let path = self.find(name)?.ok_or_else(|| LoadError::file(name, "is missing"))?;
        let fail = |error: std::io::Error| LoadError::file(name, error);
        let mut file = File::open(path).map_err(fail)?;
        let length = file.metadata().map_err(fail)?.len();
        let step = if length <= HASHED_WHOLE { 1 } else { 64 };
        self.mark(name, &length.to_le_bytes());
        let mut piece = vec![0; PIECE];
        for start in (0..length).step_by(PIECE * step) {
            file.seek(SeekFrom::Start(start)).map_err(fail)?;
            let wanted = usize::try_from(length - start).map_or(PIECE, |left| left.min(PIECE));
            file.read_exact(&mut piece[..wanted]).map_err(fail)?;
            self.revision.borrow_mut().update(&piece[..wanted]);
        }
        Ok(length)
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
    fn weights_make_the_revision_and_pickles_are_refused() {
        let temp = tempfile::tempdir().expect("temp dir");
        let dir = || ModelDir::open(temp.path()).expect("opens");
        fs::write(temp.path().join("pytorch_model.bin"), "x").expect("file");
        let message = dir().weights().expect_err("no safetensors").to_string();
        assert!(message.contains("pickles are never read"), "{message}");

        let revision = |content: &[u8]| {
            fs::write(temp.path().join("model.safetensors"), content).expect("file");
            let dir = dir();
            assert_eq!(dir.weights().expect("one file"), ["model.safetensors"]);
            dir.mark_weights("model.safetensors").expect("reads");
            dir.revision()
        };
        let long = vec![7; PIECE + 3];
        assert_eq!(revision(&long), revision(&long));
        assert_ne!(revision(&long), revision(&long[1..]));
        let mut other = long.clone();
        other[PIECE + 1] = 8;
        assert_ne!(revision(&long), revision(&other));
    }
}
