//! Tensors of a safetensors checkpoint, single or sharded, memory-mapped. Pickles are never read.

use std::{
    cell::Cell,
    collections::{BTreeSet, HashMap},
    fs::File,
    ops::Range,
};

use candle_core::{Device, Tensor};
use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use sensorium_checkpoint::shards;
use sensorium_contract::LoadProgress;

use super::LayerNames;
use super::ModelDir;
use crate::{
    error::LoadError,
    nn::{LayerWeights, LinearWeights, NormWeights},
};

/// The tensors of one checkpoint.
pub(crate) struct Weights<'a> {
    files: Vec<Mmap>,
    index: HashMap<String, Entry>,
    progress: &'a dyn Fn(LoadProgress),
    done: Cell<u64>,
    parameters: Cell<u64>,
    total: u64,
}

struct Entry {
    file: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Range<usize>,
}

// === impl Weights ===

impl<'a> Weights<'a> {
    /// Maps `model.safetensors`, or the shards that `model.safetensors.index.json` lists.
    ///
    /// # Errors
    /// If there are none, or one isn't a safetensors file. A directory with only pickles is told how to convert them.
    pub(crate) fn open(dir: &ModelDir, progress: &'a dyn Fn(LoadProgress)) -> Result<Self, LoadError> {
        let mut files = Vec::new();
        let mut index = HashMap::new();
        for name in shard_names(dir)? {
            let map = map_file(dir, &name)?;
            dir.mark(&dir.label(&name), &map);
            index_file(&map, files.len(), &mut index).map_err(|error| LoadError::file(dir.label(&name), error))?;
            files.push(map);
        }
        let total = index.values().map(|entry| entry.bytes.len() as u64).sum();
        Ok(Self {
            files,
            index,
            progress,
            done: Cell::new(0),
            parameters: Cell::new(0),
            total,
        })
    }

    /// Numbers read so far; each takes as many bytes in memory as the computing dtype has.
    pub(crate) fn parameters(&self) -> u64 {
        self.parameters.get()
    }

    /// True if there is a tensor of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.index.contains_key(name)
    }

    /// What stands before `anchor` in the names of this checkpoint ("bert.", "model.", ""); the shortest if several.
    ///
    /// # Errors
    /// If no tensor's name ends in `anchor`.
    pub(crate) fn prefix(&self, anchor: &str) -> Result<String, LoadError> {
        self.index
            .keys()
            .filter_map(|name| name.strip_suffix(anchor))
            .filter(|prefix| prefix.is_empty() || prefix.ends_with('.'))
            .min_by_key(|prefix| prefix.len())
            .map(str::to_owned)
            .ok_or_else(|| LoadError::tensor(anchor, "is missing: these are not the weights of this architecture"))
    }

    /// A tensor as f32 on the CPU.
    ///
    /// # Errors
    /// If it is missing, has another shape, or isn't f32, f16 or bf16.
    pub(crate) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, LoadError> {
        let entry = self
            .index
            .get(name)
            .ok_or_else(|| LoadError::tensor(name, "is missing"))?;
        if entry.shape != shape {
            let message = format!("has shape {:?}; config.json makes it {shape:?}", entry.shape);
            return Err(LoadError::tensor(name, message));
        }
        let values = self.values(name, entry)?;
        self.parameters.set(self.parameters.get() + values.len() as u64);
        self.step(entry.bytes.len() as u64);
        Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
    }

    /// A tensor of one number, whatever its rank.
    ///
    /// # Errors
    /// As [`Weights::tensor`].
    pub(crate) fn scalar(&self, name: &str) -> Result<f32, LoadError> {
        let entry = self
            .index
            .get(name)
            .ok_or_else(|| LoadError::tensor(name, "is missing"))?;
        match self.values(name, entry)?.as_slice() {
            [value] if value.is_finite() => Ok(*value),
            _ => Err(LoadError::tensor(name, "must be one finite number")),
        }
    }

    /// `{name}.weight` of `[out, in]` and `{name}.bias`.
    ///
    /// # Errors
    /// As [`Weights::tensor`].
    pub(crate) fn linear(&self, name: &str, out: usize, input: usize) -> Result<LinearWeights, LoadError> {
        let weight = self.tensor(&format!("{name}.weight"), &[out, input])?;
        Ok(LinearWeights {
            weight,
            bias: Some(self.tensor(&format!("{name}.bias"), &[out])?),
        })
    }

    /// `{name}.weight` and `{name}.bias`, or `gamma` and `beta` as TensorFlow called them.
    ///
    /// # Errors
    /// As [`Weights::tensor`].
    pub(crate) fn norm(&self, name: &str, hidden: usize) -> Result<NormWeights, LoadError> {
        let (weight, bias) = match self.has(&format!("{name}.gamma")) {
            true => ("gamma", "beta"),
            false => ("weight", "bias"),
        };
        Ok(NormWeights {
            weight: self.tensor(&format!("{name}.{weight}"), &[hidden])?,
            bias: self.tensor(&format!("{name}.{bias}"), &[hidden])?,
        })
    }

    /// The transformer layer whose names begin with `prefix`.
    ///
    /// # Errors
    /// As [`Weights::tensor`].
    pub(crate) fn layer(
        &self,
        prefix: &str,
        names: &LayerNames,
        hidden: usize,
        intermediate: usize,
    ) -> Result<LayerWeights, LoadError> {
        let norm = |part: &str| self.norm(&format!("{prefix}{part}"), hidden);
        let square = |part: &str| self.linear(&format!("{prefix}{part}"), hidden, hidden);
        Ok(LayerWeights {
            norm1: norm(names.norm1)?,
            query: square(names.query)?,
            key: square(names.key)?,
            value: square(names.value)?,
            output: square(names.output)?,
            norm2: norm(names.norm2)?,
            up: self.linear(&format!("{prefix}{}", names.up), intermediate, hidden)?,
            down: self.linear(&format!("{prefix}{}", names.down), hidden, intermediate)?,
        })
    }

    fn values(&self, name: &str, entry: &Entry) -> Result<Vec<f32>, LoadError> {
        let data = &self.files[entry.file][entry.bytes.clone()];
        let pairs = || data.chunks_exact(2).map(|pair| [pair[0], pair[1]]);
        match entry.dtype {
            Dtype::F32 => Ok(data
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect()),
            Dtype::F16 => Ok(pairs().map(|pair| f16::from_le_bytes(pair).to_f32()).collect()),
            Dtype::BF16 => Ok(pairs().map(|pair| bf16::from_le_bytes(pair).to_f32()).collect()),
            other => Err(LoadError::tensor(
                name,
                format!("is {other:?}; f32, f16 and bf16 can be read"),
            )),
        }
    }

    /// Counts `bytes` as read; tells the host about once a hundredth.
    fn step(&self, bytes: u64) {
        let (before, after) = (self.done.get(), self.done.get() + bytes);
        self.done.set(after);
        let hundredth = (self.total / 100).max(1);
        if before / hundredth != after / hundredth {
            (self.progress)(LoadProgress {
                stage: "weights".to_owned(),
                done: after,
                total: self.total,
            });
        }
    }
}

fn shard_names(dir: &ModelDir) -> Result<BTreeSet<String>, LoadError> {
    const SINGLE: &str = "model.safetensors";
    const INDEX: &str = "model.safetensors.index.json";
    if dir.find(SINGLE)?.is_some() {
        return Ok(BTreeSet::from([SINGLE.to_owned()]));
    }
    if let Some(shards) = shards(dir, INDEX)? {
        return Ok(shards);
    }
    for pickle in [
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
        "model.ckpt",
        "open_clip_pytorch_model.bin",
    ] {
        if dir.find(pickle)?.is_some() {
            return Err(LoadError::file(
                dir.label(pickle),
                "is a pickle, which can run code and is never read; convert it once with transformers: \
                 AutoModel.from_pretrained(DIR).save_pretrained(DIR, safe_serialization=True)",
            ));
        }
    }
    Err(LoadError::file(dir.label(SINGLE), "is missing"))
}

fn map_file(dir: &ModelDir, name: &str) -> Result<Mmap, LoadError> {
    let path = dir
        .find(name)?
        .ok_or_else(|| LoadError::file(dir.label(name), "is missing"))?;
    let file = File::open(path).map_err(|error| LoadError::file(dir.label(name), error))?;
    // SAFETY: the map is only read, as plain bytes. Another process that truncates the file meanwhile ends this one
    // with SIGBUS, which costs this instance alone; bytes that change meanwhile are valid bytes still.
    unsafe { Mmap::map(&file) }.map_err(|error| LoadError::file(dir.label(name), error))
}

/// Adds the tensors of one file. The header's offsets, shapes and sizes are checked against each other and the file.
fn index_file(map: &Mmap, file: usize, index: &mut HashMap<String, Entry>) -> Result<(), String> {
    let tensors = SafeTensors::deserialize(map).map_err(|error| format!("is not a valid safetensors file: {error}"))?;
    let base = map.as_ptr() as usize;
    for (name, view) in tensors.iter() {
        let start = view.data().as_ptr() as usize - base;
        let entry = Entry {
            file,
            dtype: view.dtype(),
            shape: view.shape().to_vec(),
            bytes: start..start + view.data().len(),
        };
        if index.insert(name.to_owned(), entry).is_some() {
            return Err(format!("has tensor `{name}`, which another shard has too"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(content: &[u8]) -> Result<f32, LoadError> {
        let temp = tempfile::tempdir().expect("temp dir");
        std::fs::write(temp.path().join("model.safetensors"), content).expect("file");
        let dir = ModelDir::open(temp.path())?;
        let weights = Weights::open(&dir, &|_| {})?;
        weights.tensor("a", &[1])?;
        weights.scalar("a")
    }

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
    }

    #[test]
    fn every_float_format_reads_as_f32() {
        for (dtype, data) in [
            ("F32", 1.5f32.to_le_bytes().to_vec()),
            ("F16", f16::from_f32(1.5).to_le_bytes().to_vec()),
            ("BF16", bf16::from_f32(1.5).to_le_bytes().to_vec()),
        ] {
            let header = format!(
                r#"{{"a":{{"dtype":"{dtype}","shape":[1],"data_offsets":[0,{}]}}}}"#,
                data.len()
            );
            assert_eq!(open(&file(&header, &data)).expect(dtype), 1.5);
        }
    }

    #[test]
    fn lying_headers_are_clean_errors() {
        let entry = |offsets: &str, shape: &str| {
            format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#)
        };
        let cases = [
            (b"".to_vec(), "not a valid safetensors"),
            (u64::MAX.to_le_bytes().to_vec(), "not a valid safetensors"),
            (file("{", &[0; 4]), "not a valid safetensors"),
            (file(&entry("[0,400]", "[100]"), &[0; 4]), "not a valid safetensors"),
            (
                file(&entry("[0,4]", "[4611686018427387904,8]"), &[0; 4]),
                "not a valid safetensors",
            ),
            (file(&entry("[4,0]", "[1]"), &[0; 4]), "not a valid safetensors"),
            (
                file(&entry("[0,8]", "[2]"), &[0; 8]),
                "tensor `a` has shape [2]; config.json makes it [1]",
            ),
            (
                file(r#"{"a":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}}"#, &[0; 4]),
                "is I32",
            ),
            (file("{}", &[]), "tensor `a` is missing"),
        ];
        for (content, part) in cases {
            let message = open(&content).expect_err(part).to_string();
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn pickles_are_never_read() {
        let temp = tempfile::tempdir().expect("temp dir");
        std::fs::write(temp.path().join("pytorch_model.bin"), "x").expect("file");
        let dir = ModelDir::open(temp.path()).expect("opens");
        let message = Weights::open(&dir, &|_| {}).err().expect("refused").to_string();
        assert!(message.contains("save_pretrained"), "{message}");
    }
}
