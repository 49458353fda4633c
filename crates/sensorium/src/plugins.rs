//! `sensorium plugins`: what is found where the server would look.

use std::collections::BTreeMap;
use std::path::PathBuf;

use sensorium_engine::{describe_plugin, find_plugin};

use crate::cli::PluginPath;

/// Prints every plugin's manifest, and why an executable that looks like one is none.
///
/// # Errors
/// If a manifest can't be printed.
pub(crate) async fn list(options: &PluginPath) -> anyhow::Result<()> {
    let mut found = BTreeMap::new();
    for name in names(&options.plugin_path) {
        if let Some(executable) = find_plugin(&name, &options.plugin_path) {
            found.insert(name, executable);
        }
    }
    let mut manifests = Vec::new();
    for (name, executable) in found {
        match describe_plugin(&executable).await {
            Ok(manifest) => {
                manifests.push(serde_json::json!({ "executable": executable, "manifest": manifest }));
            }
            Err(error) => eprintln!("sensorium-{name} is not a plugin: {error}"),
        }
    }
    println!("{}", serde_json::to_string_pretty(&manifests)?);
    Ok(())
}

/// Executables of ours that are named like plugins.
const TOOLS: [&str; 1] = ["conformance"];

/// Names of all files called `sensorium-<name>` in the directories that are searched.
fn names(plugin_path: &[PathBuf]) -> Vec<String> {
    let own = std::env::current_exe()
        .ok()
        .and_then(|exe| exe.parent().map(PathBuf::from));
    let mut names = Vec::new();
    for directory in plugin_path.iter().cloned().chain(own) {
        let Ok(entries) = std::fs::read_dir(directory) else {
            continue;
        };
        let files = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok());
        names.extend(files.filter_map(|file| file.strip_prefix("sensorium-").map(str::to_owned)));
    }
    names.retain(|name| !TOOLS.contains(&name.as_str()));
    names.sort();
    names.dedup();
    names
}
