//! The tensors of one component of a pipeline: found by diffusers' and transformers' file names, each read once, and all
//! of them accounted for. Pickles are never read.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeSet, HashMap},
};

use sensorium_checkpoint::shards;
use sensorium_contract::LoadProgress;
use sensorium_kernels::Cpu;
use tch::{Device, Kind, Tensor};

use super::{ModelDir, TensorFile};
use crate::error::LoadError;

/// Names listed in an error; more are counted.
const LISTED: usize = 6;

/// Where weights are to be, and in what precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Their device.
    pub device: Device,
    /// Their number format.
    pub kind: Kind,
}

/// The tensors of one component.
pub(crate) struct Weights<'a> {
    dir: ModelDir,
    /// How messages name the file, or the first of several.
    label: String,
    files: Vec<TensorFile>,
    /// Tensor -> index of its file.
    index: HashMap<String, usize>,
    target: Target,
    kernels: Option<&'a Cpu>,
    used: RefCell<BTreeSet<String>>,
    progress: &'a dyn Fn(LoadProgress),
    done: Cell<u64>,
    total: u64,
    bytes: Cell<u64>,
}

// === impl Weights ===

impl<'a> Weights<'a> {
    /// Opens `{stem}.safetensors`, its shards, or its `fp16` or `bf16` variant. `stem` is
    /// `diffusion_pytorch_model` for diffusers' models and `model` for transformers'.
    ///
    /// # Errors
    /// If there are none, or one isn't a safetensors file. A directory with only pickles is told how to convert them.
    pub(crate) fn open(
        dir: &ModelDir,
        stem: &str,
        target: Target,
        progress: &'a dyn Fn(LoadProgress),
    ) -> Result<Self, LoadError> {
        let names = file_names(dir, stem)?;
        let label = dir.label(&names[0]);
        let (mut files, mut index) = (Vec::new(), HashMap::new());
        for name in &names {
            let fail = |problem: String| LoadError::file(dir.label(name), problem);
            let path = dir.find(name)?.ok_or_else(|| fail("is missing".to_owned()))?;
            let file = TensorFile::open(&path).map_err(fail)?;
            for tensor in file.names() {
                if index.insert(tensor.to_owned(), files.len()).is_some() {
                    return Err(fail(format!("has tensor `{tensor}`, which another shard has too")));
                }
            }
            files.push(file);
        }
        Ok(Self {
            dir: dir.clone(),
            label,
            total: files.iter().map(TensorFile::total_bytes).sum(),
            files,
            index,
            target,
            kernels: None,
            used: RefCell::default(),
            progress,
            done: Cell::new(0),
            bytes: Cell::new(0),
        })
    }

    /// Lets these compute what is made of the weights, where they can.
    pub(crate) fn computed_by(self, kernels: Option<&'a Cpu>) -> Self {
        Self { kernels, ..self }
    }

    /// What computes linear maps and attention instead of libtorch.
    pub(crate) fn kernels(&self) -> Option<&Cpu> {
        self.kernels
    }

    /// Bytes that the tensors read so far take in the target's format.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    /// Makes `bytes` part of the model's revision.
    pub(crate) fn mark(&self, name: &str, bytes: &[u8]) {
        self.dir.mark(name, bytes);
    }

    /// Where they are put.
    pub(crate) fn target(&self) -> Target {
        self.target
    }

    /// True if there is a tensor of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.index.contains_key(name)
    }

    /// Takes no notice of tensors that `predicate` holds for: buffers that are computed, parts that aren't run.
    pub(crate) fn ignore(&self, predicate: impl Fn(&str) -> bool) {
        let names = self.index.keys().filter(|name| predicate(name));
        self.used.borrow_mut().extend(names.cloned());
    }

    /// A tensor of this shape, in the target's format on its device.
    ///
    /// # Errors
    /// If it is missing or has another shape.
    pub(crate) fn tensor(&self, name: &str, shape: &[i64]) -> Result<Tensor, LoadError> {
        let fail = |problem: String| LoadError::tensor(&self.label, name, problem);
        let file = self.index.get(name).map(|index| &self.files[*index]);
        let file = file.ok_or_else(|| fail("is missing".to_owned()))?;
        let stored = file.shape(name).unwrap_or_default();
        // Attention of old autoencoders was stored as 1x1 convolutions.
        let same = stored == shape || (stored.len() == 4 && stored[2..] == [1, 1] && stored[..2] == *shape);
        if !same {
            return Err(fail(format!("has shape {stored:?}; config.json makes it {shape:?}")));
        }
        let (tensor, bytes) = file.read(name).map_err(fail)?;
        self.dir.mark(name, &bytes);
        self.used.borrow_mut().insert(name.to_owned());
        self.step(bytes.len() as u64);
        let tensor = tensor.f_to_kind(self.target.kind)?.f_to_device(self.target.device)?;
        self.bytes
            .set(self.bytes.get() + (tensor.numel() * self.target.kind.elt_size_in_bytes()) as u64);
        Ok(tensor.f_reshape(shape)?)
    }

    /// Says which tensors nobody has asked for.
    ///
    /// # Errors
    /// If there are any: the network that was built is not the one that the weights are for.
    pub(crate) fn finish(&self) -> Result<(), LoadError> {
        let used = self.used.borrow();
        let left: BTreeSet<&String> = self.index.keys().filter(|name| !used.contains(*name)).collect();
        if left.is_empty() {
            return Ok(());
        }
        let listed: Vec<String> = left.iter().take(LISTED).map(|name| format!("`{name}`")).collect();
        let more = left.len().saturating_sub(LISTED);
        let more = if more == 0 {
            String::new()
        } else {
            format!(" and {more} more")
        };
        Err(LoadError::file(
            &self.label,
            format!(
                "has tensors that config.json gives no place to: {}{more}",
                listed.join(", ")
            ),
        ))
    }

    /// Counts `bytes` as read; tells the host about once a hundredth.
    fn step(&self, bytes: u64) {
        let (before, after) = (self.done.get(), self.done.get() + bytes);
        self.done.set(after);
        let hundredth = (self.total / 100).max(1);
        if before / hundredth != after / hundredth {
            (self.progress)(LoadProgress {
                stage: self.label.clone(),
                done: after,
                total: self.total,
            });
        }
    }
}

/// The safetensors files of a component.
fn file_names(dir: &ModelDir, stem: &str) -> Result<Vec<String>, LoadError> {
    for variant in ["", ".fp16", ".bf16"] {
        let single = format!("{stem}{variant}.safetensors");
        if dir.find(&single)?.is_some() {
            return Ok(vec![single]);
        }
        // diffusers puts the variant after `.index`, transformers before it.
        for index in [
            format!("{stem}.safetensors.index{variant}.json"),
            format!("{stem}{variant}.safetensors.index.json"),
        ] {
            let shards = shards(dir, &index)?.unwrap_or_default();
            if !shards.is_empty() {
                return Ok(shards.into_iter().collect());
            }
        }
    }
    let pickle = if stem == "model" {
        "pytorch_model.bin"
    } else {
        "diffusion_pytorch_model.bin"
    };
    if dir.find(pickle)?.is_some() {
        return Err(LoadError::file(
            dir.label(pickle),
            "is a pickle, which can run code and is never read; convert the pipeline once with diffusers: \
             DiffusionPipeline.from_pretrained(DIR).save_pretrained(DIR, safe_serialization=True)",
        ));
    }
    Err(LoadError::file(dir.label(&format!("{stem}.safetensors")), "is missing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> Vec<u8> {
        let header = format!(r#"{{"{name}":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}}}"#);
        [
            &(header.len() as u64).to_le_bytes()[..],
            header.as_bytes(),
            &1f32.to_le_bytes(),
        ]
        .concat()
    }

    fn open(temp: &tempfile::TempDir) -> Result<Vec<String>, String> {
        let dir = ModelDir::open(temp.path()).expect("opens");
        let target = Target {
            device: Device::Cpu,
            kind: Kind::Float,
        };
        let weights = Weights::open(&dir, "model", target, &|_| {}).map_err(|error| error.to_string())?;
        let _ = weights.tensor("a", &[1]).map_err(|error| error.to_string())?;
        weights.finish().map_err(|error| error.to_string())?;
        let mut names: Vec<String> = weights.index.keys().cloned().collect();
        names.sort();
        Ok(names)
    }

    #[test]
    fn files_are_found_by_all_their_names() {
        for name in ["model.safetensors", "model.fp16.safetensors"] {
            let temp = tempfile::tempdir().expect("temp dir");
            std::fs::write(temp.path().join(name), file("a")).expect("written");
            assert_eq!(open(&temp), Ok(vec!["a".to_owned()]), "{name}");
        }
        for index in ["model.safetensors.index.json", "model.safetensors.index.fp16.json"] {
            let temp = tempfile::tempdir().expect("temp dir");
            std::fs::write(temp.path().join("part.safetensors"), file("a")).expect("written");
            std::fs::write(temp.path().join(index), r#"{"weight_map": {"a": "part.safetensors"}}"#).expect("written");
            assert_eq!(open(&temp), Ok(vec!["a".to_owned()]), "{index}");
        }
    }

    #[test]
    fn what_is_missing_or_left_over_is_named() {
        let temp = tempfile::tempdir().expect("temp dir");
        std::fs::write(temp.path().join("pytorch_model.bin"), "x").expect("written");
        assert!(open(&temp).expect_err("a pickle").contains("save_pretrained"));
        std::fs::write(temp.path().join("model.safetensors"), file("b")).expect("written");
        assert!(open(&temp).expect_err("no a").contains("tensor `a` is missing"));

        let (one, two) = (file("a"), file("b"));
        std::fs::write(temp.path().join("1.safetensors"), one).expect("written");
        std::fs::write(temp.path().join("2.safetensors"), two).expect("written");
        std::fs::remove_file(temp.path().join("model.safetensors")).expect("removed");
        let index = r#"{"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}"#;
        std::fs::write(temp.path().join("model.safetensors.index.json"), index).expect("written");
        assert!(open(&temp).expect_err("b is left").contains("gives no place to: `b`"));

        let index = r#"{"weight_map": {"a": "../1.safetensors"}}"#;
        std::fs::write(temp.path().join("model.safetensors.index.json"), index).expect("written");
        assert!(open(&temp).expect_err("outside").contains("outside"));
    }
}
