//! One safetensors file: its header is checked, its tensors are read one at a time, when they are asked for.
//!
//! Nothing is mapped: what has been read once and converted should not stay in the process's memory beside the copy.

use std::{collections::HashMap, fs::File, io::Read, os::unix::fs::FileExt, path::Path};

use safetensors::{Dtype, SafeTensors};
use tch::{Kind, Tensor};

/// Longest header that is read; the format's own limit.
const MAX_HEADER: u64 = 100_000_000;

/// An open safetensors file.
pub(crate) struct TensorFile {
    file: File,
    /// Where the tensors' bytes begin.
    base: u64,
    entries: HashMap<String, Entry>,
}

/// Where a tensor lies.
struct Entry {
    kind: Kind,
    shape: Vec<i64>,
    start: u64,
    bytes: usize,
}

// === impl TensorFile ===

impl TensorFile {
    /// Opens a file and checks its header: offsets, shapes and sizes against each other and the file.
    ///
    /// # Errors
    /// What is wrong with it, in words that continue "the file ".
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let mut file = File::open(path).map_err(|error| format!("can't be opened: {error}"))?;
        let length = file
            .metadata()
            .map_err(|error| format!("can't be read: {error}"))?
            .len();
        let invalid = |why: &dyn std::fmt::Display| format!("is not a valid safetensors file: {why}");
        let mut word = [0; 8];
        file.read_exact(&mut word).map_err(|error| invalid(&error))?;
        let header = u64::from_le_bytes(word);
        if header > MAX_HEADER.min(length - 8) {
            return Err(invalid(&format!("its header claims {header} bytes")));
        }
        let mut bytes = word.to_vec();
        file.by_ref()
            .take(header)
            .read_to_end(&mut bytes)
            .map_err(|error| invalid(&error))?;
        let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|error| invalid(&error))?;
        let base = 8 + header;
        let mut entries = HashMap::new();
        for (name, info) in metadata.tensors() {
            let (start, end) = info.data_offsets;
            let unsupported = || format!("has tensor `{name}` of {:?}; f32, f16 and bf16 can be read", info.dtype);
            if end as u64 > length - base {
                return Err(invalid(&format!("tensor `{name}` ends after the file's end")));
            }
            let entry = Entry {
                kind: kind(info.dtype).ok_or_else(unsupported)?,
                shape: info.shape.iter().map(|side| *side as i64).collect(),
                start: start as u64,
                bytes: end - start,
            };
            entries.insert(name.clone(), entry);
        }
        Ok(Self { file, base, entries })
    }

    /// Names of all tensors, in no order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The shape of a tensor, if there is one of that name.
    pub(crate) fn shape(&self, name: &str) -> Option<&[i64]> {
        self.entries.get(name).map(|entry| entry.shape.as_slice())
    }

    /// Bytes of all tensors together.
    pub(crate) fn total_bytes(&self) -> u64 {
        self.entries.values().map(|entry| entry.bytes as u64).sum()
    }

    /// A tensor as it is stored, on the CPU, with its bytes.
    ///
    /// # Errors
    /// If there is none, or it can't be read.
    pub(crate) fn read(&self, name: &str) -> Result<(Tensor, Vec<u8>), String> {
        let entry = self.entries.get(name).ok_or("is missing")?;
        let mut bytes = vec![0; entry.bytes];
        self.file
            .read_exact_at(&mut bytes, self.base + entry.start)
            .map_err(|error| format!("can't be read: {error}"))?;
        let tensor = Tensor::f_from_data_size(&bytes, &entry.shape, entry.kind)
            .map_err(|error| format!("can't be read: {error}"))?;
        Ok((tensor, bytes))
    }
}

/// `None` for what no weight has.
fn kind(dtype: Dtype) -> Option<Kind> {
    match dtype {
        Dtype::F32 => Some(Kind::Float),
        Dtype::F16 => Some(Kind::Half),
        Dtype::BF16 => Some(Kind::BFloat16),
        // position_ids of old CLIP checkpoints.
        Dtype::I64 => Some(Kind::Int64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
    }

    fn open(content: &[u8]) -> Result<f64, String> {
        let temp = tempfile::NamedTempFile::new().expect("temp file");
        std::fs::write(temp.path(), content).expect("written");
        let (tensor, _) = TensorFile::open(temp.path())?.read("a")?;
        Ok(tensor.double_value(&[0]))
    }

    #[test]
    fn every_float_format_is_read() {
        for (dtype, data) in [
            ("F32", 1.5f32.to_le_bytes().to_vec()),
            ("F16", half::f16::from_f32(1.5).to_le_bytes().to_vec()),
            ("BF16", half::bf16::from_f32(1.5).to_le_bytes().to_vec()),
        ] {
            let end = data.len();
            let header = format!(r#"{{"a":{{"dtype":"{dtype}","shape":[1],"data_offsets":[0,{end}]}}}}"#);
            assert_eq!(open(&file(&header, &data)), Ok(1.5), "{dtype}");
        }
    }

    #[test]
    fn lying_headers_are_clean_errors() {
        let entry = |dtype: &str, offsets: &str, shape: &str| {
            format!(r#"{{"a":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#)
        };
        for (content, part) in [
            (vec![0; 8], "not a valid safetensors"),
            (u64::MAX.to_le_bytes().to_vec(), "header claims"),
            (file("{", &[0; 4]), "not a valid safetensors"),
            (file(&entry("F32", "[0,400]", "[100]"), &[0; 4]), "ends after"),
            (
                file(&entry("F32", "[0,4]", "[4611686018427387904,8]"), &[0; 4]),
                "not a valid safetensors",
            ),
            (file(&entry("F32", "[4,0]", "[1]"), &[0; 4]), "not a valid safetensors"),
            (file(&entry("I32", "[0,4]", "[1]"), &[0; 4]), "I32"),
            (file("{}", &[]), "is missing"),
        ] {
            let message = open(&content).expect_err(part);
            assert!(message.contains(part), "{message}");
        }
        assert!(open(b"").is_err());
    }
}
