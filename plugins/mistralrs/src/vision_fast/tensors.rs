//! Single tensors out of safetensors files, as f32.

use std::{
    collections::HashMap,
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use half::{bf16, f16};
use safetensors::{Dtype, tensor::Metadata};

use crate::error::LoadError;

/// Largest header that is read.
const MAX_HEADER: u64 = 100 << 20;

/// What some safetensors files hold.
pub(crate) struct Tensors {
    files: Vec<(String, File)>,
    entries: HashMap<String, Entry>,
}

/// Where a tensor is.
struct Entry {
    file: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    start: u64,
    bytes: usize,
}

// === impl Tensors ===

impl Tensors {
    /// Reads the headers of `files`, each with its name for messages.
    ///
    /// # Errors
    /// If one isn't a safetensors file.
    pub(crate) fn open(files: &[(String, PathBuf)]) -> Result<Self, LoadError> {
        let mut tensors = Self {
            files: Vec::new(),
            entries: HashMap::new(),
        };
        for (name, path) in files {
            tensors
                .add(name, path)
                .map_err(|problem| LoadError::file(name.as_str(), problem))?;
        }
        Ok(tensors)
    }

    fn add(&mut self, name: &str, path: &Path) -> Result<(), String> {
        let file = File::open(path).map_err(|error| error.to_string())?;
        let mut length = [0; 8];
        file.read_exact_at(&mut length, 0)
            .map_err(|_| "is no safetensors file")?;
        let length = u64::from_le_bytes(length);
        if length > MAX_HEADER {
            return Err("is no safetensors file".to_owned());
        }
        let mut header = vec![0; length as usize];
        file.read_exact_at(&mut header, 8).map_err(|error| error.to_string())?;
        let metadata: Metadata =
            serde_json::from_slice(&header).map_err(|error| format!("has a broken header: {error}"))?;
        for (tensor, info) in metadata.tensors() {
            let (start, end) = info.data_offsets;
            let entry = Entry {
                file: self.files.len(),
                dtype: info.dtype,
                shape: info.shape.clone(),
                start: 8 + length + start as u64,
                bytes: end.saturating_sub(start),
            };
            self.entries.insert(tensor, entry);
        }
        self.files.push((name.to_owned(), file));
        Ok(())
    }

    /// Whether there is a tensor of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// The numbers of a tensor, which must have this shape, row by row.
    ///
    /// # Errors
    /// If it is missing, has another shape or no floats, or can't be read.
    pub(crate) fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        let Some(entry) = self.entries.get(name) else {
            return Err(LoadError::file("model.safetensors", format!("has no tensor `{name}`")));
        };
        let (file_name, file) = &self.files[entry.file];
        let fail = |problem: String| LoadError::file(file_name.as_str(), format!("tensor `{name}` {problem}"));
        if entry.shape != shape {
            return Err(fail(format!(
                "has the shape {:?}; the configuration says {shape:?}",
                entry.shape
            )));
        }
        let width = match entry.dtype {
            Dtype::F32 => 4,
            Dtype::F16 | Dtype::BF16 => 2,
            other => return Err(fail(format!("is {other:?}; use F32, F16 or BF16"))),
        };
        if entry.bytes != shape.iter().product::<usize>() * width {
            return Err(fail("is not as long as its shape".to_owned()));
        }
        let mut bytes = vec![0; entry.bytes];
        file.read_exact_at(&mut bytes, entry.start)
            .map_err(|error| fail(error.to_string()))?;
        Ok(match entry.dtype {
            Dtype::F32 => bytes
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect(),
            Dtype::F16 => bytes
                .chunks_exact(2)
                .map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32())
                .collect(),
            _ => bytes
                .chunks_exact(2)
                .map(|b| bf16::from_le_bytes([b[0], b[1]]).to_f32())
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_of_every_width_are_read_and_shapes_checked() {
        let temp = tempfile::tempdir().expect("temp dir");
        let path = temp.path().join("x.safetensors");
        let header = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"BF16","shape":[1,2],"data_offsets":[8,12]},"c":{"dtype":"F16","shape":[],"data_offsets":[12,14]},"d":{"dtype":"I8","shape":[1],"data_offsets":[14,15]}}"#;
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend([1.5f32, -2.0].iter().flat_map(|x| x.to_le_bytes()));
        bytes.extend([3.0, -0.5].iter().flat_map(|&x| bf16::from_f32(x).to_le_bytes()));
        bytes.extend(f16::from_f32(0.25).to_le_bytes());
        bytes.push(1);
        std::fs::write(&path, bytes).expect("file");
        let tensors = Tensors::open(&[("x.safetensors".to_owned(), path)]).expect("opens");
        assert_eq!(tensors.read("a", &[2]).expect("a"), [1.5, -2.0]);
        assert_eq!(tensors.read("b", &[1, 2]).expect("b"), [3.0, -0.5]);
        assert_eq!(tensors.read("c", &[]).expect("c"), [0.25]);
        assert!(tensors.has("d") && !tensors.has("e"));
        for (name, shape, part) in [
            ("a", &[1][..], "shape"),
            ("d", &[1], "I8"),
            ("e", &[1], "no tensor `e`"),
        ] {
            let message = tensors.read(name, shape).expect_err(name).to_string();
            assert!(message.contains(part), "{message}");
        }
    }
}
