//! One safetensors file: its header is checked, its tensors are read one at a time, when they are asked for.
//!
//! Nothing is mapped: what has been read once and converted should not stay in the process's memory beside the copy.

use std::{collections::HashMap, fs::File, io::Read, os::unix::fs::FileExt, path::Path};

use serde::Deserialize;
use serde_json::{Map, Value};
use tch::{Kind, Tensor};

/// Longest header that is read; the format's own limit.
const MAX_HEADER: u64 = 100_000_000;
/// A note in the header that is no tensor.
const NOTES: &str = "__metadata__";

/// An open safetensors file.
pub(crate) struct TensorFile {
    file: File,
    entries: HashMap<String, Entry>,
}

/// Where a tensor lies.
struct Entry {
    kind: Kind,
    shape: Vec<i64>,
    /// From the file's beginning.
    start: u64,
    bytes: usize,
}

/// A tensor as the header describes it.
#[derive(Deserialize)]
struct RawEntry {
    dtype: String,
    shape: Vec<u64>,
    /// From the header's end.
    data_offsets: [u64; 2],
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
        if header > MAX_HEADER.min(length.saturating_sub(8)) {
            return Err(invalid(&format!("its header claims {header} bytes")));
        }
        let mut bytes = Vec::new();
        file.by_ref()
            .take(header)
            .read_to_end(&mut bytes)
            .map_err(|error| invalid(&error))?;
        let map: Map<String, Value> = serde_json::from_slice(&bytes).map_err(|error| invalid(&error))?;
        let mut entries = HashMap::new();
        for (name, value) in map.into_iter().filter(|(name, _)| name != NOTES) {
            let raw = RawEntry::deserialize(value).map_err(|error| invalid(&format!("tensor `{name}`: {error}")))?;
            let entry = Entry::new(&raw, 8 + header, length).map_err(|why| format!("has tensor `{name}` {why}"))?;
            entries.insert(name, entry);
        }
        Ok(Self { file, entries })
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
            .read_exact_at(&mut bytes, entry.start)
            .map_err(|error| format!("can't be read: {error}"))?;
        let tensor = Tensor::f_from_data_size(&bytes, &entry.shape, entry.kind)
            .map_err(|error| format!("can't be read: {error}"))?;
        Ok((tensor, bytes))
    }
}

// === impl Entry ===

impl Entry {
    /// Checks a tensor against the file: `base` is where tensors begin in it, `length` is its length.
    fn new(raw: &RawEntry, base: u64, length: u64) -> Result<Self, String> {
        let kind = match raw.dtype.as_str() {
            "F32" => Kind::Float,
            "F16" => Kind::Half,
            "BF16" => Kind::BFloat16,
            // position_ids of old CLIP checkpoints.
            "I64" => Kind::Int64,
            other => return Err(format!("of {other}; F32, F16 and BF16 can be read")),
        };
        let [start, end] = raw.data_offsets;
        let each = kind.elt_size_in_bytes() as u64;
        let needed = raw.shape.iter().try_fold(each, |size, side| size.checked_mul(*side));
        match end.checked_sub(start) {
            Some(bytes) if Some(bytes) == needed && end <= length - base => Ok(Self {
                kind,
                shape: raw.shape.iter().map(|side| *side as i64).collect(),
                start: base + start,
                bytes: bytes as usize,
            }),
            _ => Err(format!(
                "of shape {:?} at {start} to {end}, which doesn't fit",
                raw.shape
            )),
        }
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
            (file(&entry("F32", "[0,400]", "[100]"), &[0; 4]), "doesn't fit"),
            (
                file(&entry("F32", "[0,4]", "[4611686018427387904,8]"), &[0; 4]),
                "doesn't fit",
            ),
            (file(&entry("F32", "[4,0]", "[1]"), &[0; 4]), "doesn't fit"),
            (file(&entry("I32", "[0,4]", "[1]"), &[0; 4]), "I32"),
            (file("{}", &[]), "is missing"),
        ] {
            let message = open(&content).expect_err(part);
            assert!(message.contains(part), "{message}");
        }
        assert!(open(b"").is_err());
    }
}
