//! A model's weights: which files they are in, and how many numbers there are.

use std::{fs::File, io::Read, path::Path};

use sensorium_checkpoint::shards;
use serde::Deserialize;
use serde_json::Value;

use super::ModelDir;
use crate::error::LoadError;

/// Largest header that is read.
const MAX_HEADER: u64 = 100 << 20;

#[derive(Deserialize)]
struct Tensor {
    shape: Vec<u64>,
}

/// Names of the weights: `model.safetensors`, the shards that the index lists, or all safetensors there are.
///
/// # Errors
/// If there are none. A directory with only pickles is told how to convert them.
pub(crate) fn names(dir: &ModelDir) -> Result<Vec<String>, LoadError> {
    const INDEX: &str = "model.safetensors.index.json";
    if let Some(names) = shards(dir, INDEX)? {
        for name in &names {
            if dir.find(name)?.is_none() {
                return Err(LoadError::file(name, "is missing; the index lists it"));
            }
        }
        return Ok(names.into_iter().collect());
    }
    let names = dir.with_extension("safetensors")?;
    if names.is_empty() {
        let problem = match dir.with_extension("bin")?.is_empty() {
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

/// How many numbers a safetensors file holds.
///
/// # Errors
/// If it isn't one.
pub(crate) fn count(path: &Path) -> Result<u64, String> {
    let mut file = File::open(path).map_err(|error| error.to_string())?;
    let mut length = [0; 8];
    file.read_exact(&mut length)
        .map_err(|_| "is no safetensors file".to_owned())?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER {
        return Err("is no safetensors file".to_owned());
    }
    let mut header = Vec::new();
    file.take(length)
        .read_to_end(&mut header)
        .map_err(|error| error.to_string())?;
    let header: serde_json::Map<String, Value> =
        serde_json::from_slice(&header).map_err(|error| format!("has a broken header: {error}"))?;
    let mut numbers = 0u64;
    for (name, entry) in header {
        if name == "__metadata__" {
            continue;
        }
        let tensor: Tensor = serde_json::from_value(entry).map_err(|error| format!("tensor `{name}`: {error}"))?;
        numbers = numbers.saturating_add(tensor.shape.iter().product());
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_found_and_pickles_refused() {
        let temp = tempfile::tempdir().expect("temp dir");
        let dir = ModelDir::open(temp.path()).expect("opens");
        std::fs::write(temp.path().join("pytorch_model.bin"), "x").expect("file");
        let message = names(&dir).expect_err("no safetensors").to_string();
        assert!(message.contains("pickles are never read"), "{message}");
        std::fs::write(temp.path().join("model.safetensors"), "x").expect("file");
        assert_eq!(names(&dir).expect("one file"), ["model.safetensors"]);
    }

    #[test]
    fn numbers_are_counted() {
        let temp = tempfile::tempdir().expect("temp dir");
        let path = temp.path().join("model.safetensors");
        let header = r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]},"b":{"dtype":"F32","shape":[],"data_offsets":[12,16]}}"#;
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        std::fs::write(&path, bytes).expect("file");
        assert_eq!(count(&path), Ok(7));
        std::fs::write(&path, b"pickle").expect("file");
        assert!(count(&path).is_err());
    }
}
