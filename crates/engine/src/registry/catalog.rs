//! Which plugins there are: found on the search path, asked once what they are.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use sensorium_contract::{Manifest, process};

/// Finds plugins by name and remembers their manifests, so that a reload starts a plugin
/// to ask it only if its executable has changed.
#[derive(Debug, Default)]
pub struct PluginCatalog {
    search_path: Vec<PathBuf>,
    known: Mutex<HashMap<PathBuf, (Stamp, Arc<Manifest>)>>,
}

/// A plugin that the registry names.
#[derive(Debug, Clone)]
pub(super) struct PluginInfo {
    /// Its executable.
    pub executable: PathBuf,
    /// What it says it can do.
    pub manifest: Arc<Manifest>,
}

/// The plugins of one registry by name; an error says why one can't be used, and what to do.
pub(super) type Plugins = HashMap<String, Result<PluginInfo, String>>;

/// Tells whether an executable is still the one that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
}

// === impl PluginCatalog ===

impl PluginCatalog {
    /// A catalog of the plugins in these directories, in order, and then beside the server.
    pub fn new(search_path: Vec<PathBuf>) -> Self {
        Self {
            search_path,
            known: Mutex::default(),
        }
    }

    /// Finds these plugins and asks the new ones what they are, all at the same time.
    pub(super) async fn look_up(&self, names: BTreeSet<String>) -> Plugins {
        let all = names.into_iter().map(|name| async {
            let found = self.look_up_one(&name).await;
            (name, found)
        });
        futures::future::join_all(all).await.into_iter().collect()
    }

    async fn look_up_one(&self, name: &str) -> Result<PluginInfo, String> {
        if name.is_empty()
            || !name
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        {
            return Err(format!(
                "plugin {name:?} is not a plugin's name: use lower-case letters, digits and \"-\""
            ));
        }
        let executable =
            process::find_plugin(name, &self.search_path).ok_or_else(|| not_found(name, &self.search_path))?;
        let stamp = Stamp::of(&executable);
        if let Some(manifest) = self.remembered(&executable, &stamp) {
            return Ok(PluginInfo { executable, manifest });
        }
        let manifest = process::describe(&executable).await.map_err(|error| {
            let shown = executable.display();
            format!("plugin {name:?} can't say what it is: {error}; see what \"{shown} describe\" prints")
        })?;
        let manifest = Arc::new(manifest);
        self.remember(&executable, stamp, &manifest);
        Ok(PluginInfo { executable, manifest })
    }

    fn remembered(&self, executable: &Path, stamp: &Stamp) -> Option<Arc<Manifest>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(executable)
            .filter(|(then, _)| then == stamp)
            .map(|(_, manifest)| manifest.clone())
    }

    fn remember(&self, executable: &Path, stamp: Stamp, manifest: &Arc<Manifest>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(executable.into(), (stamp, manifest.clone()));
    }
}

// === impl Stamp ===

impl Stamp {
    fn of(executable: &Path) -> Self {
        let metadata = std::fs::metadata(executable);
        Self {
            modified: metadata.as_ref().ok().and_then(|metadata| metadata.modified().ok()),
            bytes: metadata.map_or(0, |metadata| metadata.len()),
        }
    }
}

/// Says where a plugin was looked for.
fn not_found(name: &str, search_path: &[PathBuf]) -> String {
    let beside = std::env::current_exe()
        .ok()
        .and_then(|exe| exe.parent().map(Path::to_path_buf));
    let places: Vec<String> = search_path
        .iter()
        .chain(&beside)
        .map(|place| place.display().to_string())
        .collect();
    format!(
        "plugin {name:?} is not found: no executable sensorium-{name} in {}; build it, \
         or put its directory on SENSORIUM_PLUGIN_PATH",
        places.join(", ")
    )
}
