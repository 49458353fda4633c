//! The LoRA files of a model, and which of them count in the next forward pass.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use tch::Tensor;

use super::names::{self, Part};
use crate::{
    checkpoint::{ModelDir, TensorFile},
    error::LoadError,
};

/// A LoRA file as the registry names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoraFile {
    /// How requests name it.
    pub name: String,
    /// Relative to the model's directory, or absolute.
    pub path: String,
}

/// All adapters of a model by the layers that they change, until those layers have taken them.
#[derive(Default)]
pub(crate) struct Loras {
    names: Vec<String>,
    files: Vec<(String, TensorFile)>,
    layers: RefCell<HashMap<(&'static str, String), Vec<Stored>>>,
    active: ActiveLoras,
}

/// Names of one adapter's tensors in its file.
#[derive(Default, Clone)]
struct Stored {
    file: usize,
    down: Option<String>,
    up: Option<String>,
    alpha: Option<String>,
}

/// An adapter's tensors as they are stored.
pub(crate) struct RawAdapter {
    /// Which LoRA it belongs to.
    pub(crate) lora: usize,
    /// `[rank, input]`, or `[rank, input, k, k]` for a convolution.
    pub(crate) down: Tensor,
    /// `[out, rank]`, or `[out, rank, 1, 1]`.
    pub(crate) up: Tensor,
    /// alpha / rank.
    pub(crate) scale: f64,
    /// How messages name its file.
    pub(crate) file: String,
}

/// The weight of each LoRA in the forward pass that comes next. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct ActiveLoras(Arc<[AtomicU32]>);

// === impl Loras ===

impl Loras {
    /// Opens the files and sorts their tensors by layer.
    ///
    /// # Errors
    /// If a file can't be read, or has tensors whose names mean nothing here.
    pub(crate) fn open(dir: &ModelDir, files: &[LoraFile]) -> Result<Self, LoadError> {
        let mut set = Self {
            names: files.iter().map(|file| file.name.clone()).collect(),
            active: ActiveLoras(files.iter().map(|_| AtomicU32::new(0)).collect()),
            ..Self::default()
        };
        for (index, LoraFile { name, path }) in files.iter().enumerate() {
            let label = format!("LoRA `{name}`");
            let found = match path.starts_with('/') {
                true => Some(PathBuf::from(path)),
                false => dir.find(path)?,
            };
            let found = found.ok_or_else(|| LoadError::file(&label, format!("{path} is missing")))?;
            let file = TensorFile::open(&found).map_err(|problem| LoadError::file(&label, problem))?;
            set.sort(index, &label, &file)?;
            set.files.push((label, file));
        }
        Ok(set)
    }

    /// Names of the LoRAs, in the order of the options.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// The switch that all adapters look at.
    pub(crate) fn active(&self) -> ActiveLoras {
        self.active.clone()
    }

    /// The adapters of a layer; each can be taken once.
    ///
    /// # Errors
    /// If one lacks a half, or can't be read.
    pub(crate) fn take(
        &self,
        mark: &dyn Fn(&str, &[u8]),
        (component, layer): (&'static str, &str),
    ) -> Result<Vec<RawAdapter>, LoadError> {
        if self.files.is_empty() {
            return Ok(Vec::new());
        }
        let key = (component, names::layer_key(layer));
        let stored = self.layers.borrow_mut().remove(&key).unwrap_or_default();
        stored.iter().map(|stored| self.read(stored, mark)).collect()
    }

    /// Says which adapters no layer has taken.
    ///
    /// # Errors
    /// If there are any: the file was made for another architecture.
    pub(crate) fn finish(&self) -> Result<(), LoadError> {
        let layers = self.layers.borrow();
        let mut left: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for ((component, layer), stored) in layers.iter() {
            for one in stored {
                left.entry(one.file).or_default().push(format!("{component}.{layer}"));
            }
        }
        let Some((file, mut keys)) = left.into_iter().next() else {
            return Ok(());
        };
        keys.sort();
        let count = keys.len();
        keys.truncate(3);
        let problem = format!(
            "changes {count} layers that this model doesn't have: {}",
            keys.join(", ")
        );
        Err(LoadError::file(&self.files[file].0, problem))
    }

    fn sort(&self, index: usize, label: &str, file: &TensorFile) -> Result<(), LoadError> {
        let mut layers = self.layers.borrow_mut();
        for name in file.names() {
            let unknown = || {
                let problem =
                    format!("has tensor `{name}`, whose name is neither diffusers' nor kohya's for these networks");
                LoadError::file(label, problem)
            };
            let key = names::parse(name).ok_or_else(unknown)?;
            let of_layer = layers.entry((key.component, key.layer)).or_default();
            let at = match of_layer.iter().position(|stored| stored.file == index) {
                Some(at) => at,
                None => {
                    of_layer.push(Stored {
                        file: index,
                        ..Stored::default()
                    });
                    of_layer.len() - 1
                }
            };
            let place = match key.part {
                Part::Down => &mut of_layer[at].down,
                Part::Up => &mut of_layer[at].up,
                Part::Alpha => &mut of_layer[at].alpha,
            };
            *place = Some(name.to_owned());
        }
        Ok(())
    }

    fn read(&self, stored: &Stored, mark: &dyn Fn(&str, &[u8])) -> Result<RawAdapter, LoadError> {
        let (label, file) = &self.files[stored.file];
        let (Some(down), Some(up)) = (&stored.down, &stored.up) else {
            let name = stored.down.as_ref().or(stored.up.as_ref()).or(stored.alpha.as_ref());
            let name = name.map(String::as_str).unwrap_or_default();
            return Err(LoadError::tensor(label, name, "lacks the other half of its adapter"));
        };
        let read = |name: &str| {
            let (tensor, bytes) = file
                .read(name)
                .map_err(|problem| LoadError::tensor(label, name, problem))?;
            mark(&format!("{label} {name}"), &bytes);
            Ok::<_, LoadError>(tensor)
        };
        let (down, up) = (read(down)?, read(up)?);
        let rank = down.size().first().copied().unwrap_or(0).max(1) as f64;
        let scale = match &stored.alpha {
            Some(alpha) => {
                let alpha = read(alpha)?;
                match alpha.numel() {
                    1 => f64::try_from(alpha.reshape([1]).get(0))? / rank,
                    _ => return Err(LoadError::file(label, "has an alpha that is not one number")),
                }
            }
            None => 1.0,
        };
        Ok(RawAdapter {
            lora: stored.file,
            down,
            up,
            scale,
            file: label.clone(),
        })
    }
}

// === impl ActiveLoras ===

impl ActiveLoras {
    /// From now on each LoRA counts with its weight; those that `weights` leaves out with none.
    pub(crate) fn set(&self, weights: &[(usize, f32)]) {
        for place in self.0.iter() {
            place.store(0, Ordering::Relaxed);
        }
        for (index, weight) in weights {
            self.0[*index].store(weight.to_bits(), Ordering::Relaxed);
        }
    }

    /// The weight of one LoRA; 0: it doesn't count.
    pub(super) fn get(&self, index: usize) -> f64 {
        f64::from(f32::from_bits(self.0[index].load(Ordering::Relaxed)))
    }
}
