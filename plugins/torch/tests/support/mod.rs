//! What the tests of this folder share: golden files, and how far two tensors are apart.
#![allow(dead_code, reason = "each test uses some of it")]

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use sensorium_torch::{
    LoraFile, Target,
    pipeline::{LoadSettings, Pipeline},
};
use tch::{Device, Kind, Tensor};

/// A directory of golden files.
pub(crate) fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// All tensors of a golden file.
pub(crate) fn tensors(name: &str) -> HashMap<String, Tensor> {
    Tensor::read_safetensors(golden(name))
        .expect("make_goldens.py made it")
        .into_iter()
        .collect()
}

/// How the tests load pipelines.
pub(crate) fn settings(kind: Kind) -> LoadSettings {
    // Layers this small only wait for one another.
    tch::set_num_threads(1);
    LoadSettings {
        target: Target {
            device: Device::Cpu,
            kind,
        },
        // Of our own kernels: enough for them to share heads and maps.
        threads: 3,
        loras: Vec::new(),
        vae_tile: 1024,
        images_per_pass: 1,
        scheduler: None,
    }
}

/// A golden pipeline in f32.
pub(crate) fn load(name: &str) -> Pipeline {
    Pipeline::open(&golden(name), &settings(Kind::Float)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A golden pipeline in f32 with adapters.
pub(crate) fn load_with_loras(name: &str, loras: &[(&str, &str)]) -> Pipeline {
    let loras = loras.iter().map(|(name, path)| LoraFile {
        name: (*name).to_owned(),
        path: (*path).to_owned(),
    });
    let settings = LoadSettings {
        loras: loras.collect(),
        ..settings(Kind::Float)
    };
    Pipeline::open(&golden(name), &settings).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub(crate) fn number(x: &Tensor) -> f64 {
    f64::try_from(x).expect("one number")
}

/// Cosine of the angle between two tensors.
pub(crate) fn cosine(a: &Tensor, b: &Tensor) -> f64 {
    let (a, b) = (
        a.to_kind(Kind::Double).flatten(0, -1),
        b.to_kind(Kind::Double).flatten(0, -1),
    );
    number(&(a.dot(&b) / (a.norm() * b.norm())))
}

/// ‖a - b‖ / ‖b‖.
pub(crate) fn relative_error(a: &Tensor, b: &Tensor) -> f64 {
    let (a, b) = (a.to_kind(Kind::Double), b.to_kind(Kind::Double));
    number(&((&a - &b).norm() / b.norm()))
}

/// Peak signal-to-noise ratio of bytes, in dB; infinite if they are equal.
pub(crate) fn psnr(a: &Tensor, b: &Tensor) -> f64 {
    let difference = a.to_kind(Kind::Double) - b.to_kind(Kind::Double);
    20.0 * 255f64.log10() - 10.0 * number(&difference.square().mean(None)).log10()
}
