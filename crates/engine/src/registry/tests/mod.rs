//! Tests of the registry: texts and what becomes of them.

mod catalog;
mod diff;
mod problems;
mod schema;
mod values;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sensorium_contract::{Manifest, PROTOCOL, Task};
use serde_json::json;
use tempfile::TempDir;

use super::catalog::{PluginInfo, Plugins};
use super::{Registry, RegistryError, read, validate};

/// A directory that holds a registry, two models, and links; and another beside it.
pub(super) struct World {
    root: TempDir,
}

// === impl World ===

impl World {
    pub(super) fn new() -> Self {
        let world = Self {
            root: tempfile::tempdir().expect("a temporary directory"),
        };
        let dir = world.dir();
        for name in ["models/m", "models/n", "../elsewhere"] {
            std::fs::create_dir_all(dir.join(name)).expect("a directory");
        }
        std::fs::write(dir.join("models/file"), "x").expect("a file");
        std::os::unix::fs::symlink("m", dir.join("models/inside")).expect("a link");
        std::os::unix::fs::symlink("../elsewhere", dir.join("outside")).expect("a link");
        world
    }

    /// The registry's directory.
    pub(super) fn dir(&self) -> PathBuf {
        let dir = self.root.path().join("registry");
        std::fs::create_dir_all(&dir).expect("a directory");
        dir.canonicalize().expect("it is there")
    }

    /// The directory beside it.
    pub(super) fn elsewhere(&self) -> PathBuf {
        self.dir().join("../elsewhere").canonicalize().expect("it is there")
    }

    /// What becomes of a registry with this text.
    pub(super) fn check(&self, text: &str) -> Result<Registry, RegistryError> {
        let file = self.dir().join("models.toml");
        validate::validate(&file, read::read(&file, text)?, &plugins())
    }

    /// The registry of a text without mistakes.
    pub(super) fn registry(&self, text: &str) -> Registry {
        self.check(text).unwrap_or_else(|error| panic!("{text}\n{error}"))
    }

    /// What is wrong with a text, as the operator sees it, less the directory.
    pub(super) fn problems(&self, text: &str) -> Vec<String> {
        let Err(error) = self.check(text) else {
            panic!("nothing is wrong with\n{text}")
        };
        let dir = format!("{}/", self.dir().display());
        let elsewhere = self.elsewhere().display().to_string();
        let shown = error.to_string().replace(&dir, "").replace(&elsewhere, "<elsewhere>");
        shown.lines().map(Into::into).collect()
    }
}

/// `files` loads files and has two options; `free` has neither; `strict` must have one; `lost` is not there.
fn plugins() -> Plugins {
    let options = json!({ "type": "object", "properties": { "pool": {}, "size": {} }, "additionalProperties": false });
    let upstream = json!({ "type": "object", "properties": { "url": {} }, "required": ["url"] });
    let files = Manifest {
        devices: vec!["cpu".into(), "cuda".into()],
        ..manifest("files", Some(options))
    };
    let known = [
        Manifest {
            architectures: vec!["XModel".into()],
            ..files
        },
        manifest("free", None),
        manifest("strict", Some(upstream)),
    ];
    let known = known.into_iter().map(|manifest| {
        let executable = Path::new("/plugins").join(format!("sensorium-{}", manifest.name));
        (
            manifest.name.clone(),
            Ok(PluginInfo {
                executable,
                manifest: Arc::new(manifest),
            }),
        )
    });
    known
        .chain([("lost".to_owned(), Err("plugin \"lost\" is not found".to_owned()))])
        .collect()
}

pub(super) fn manifest(name: &str, options_schema: Option<serde_json::Value>) -> Manifest {
    Manifest {
        name: name.into(),
        version: "1.0.0".into(),
        protocol: PROTOCOL,
        tasks: vec![Task::Embed],
        devices: vec!["cpu".into()],
        network: false,
        options_schema,
        architectures: vec![],
    }
}
