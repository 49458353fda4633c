//! Raw models to [`ModelConfig`]s. Goes on after a problem, to find them all.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sensorium_contract::Manifest;
use serde_json::Map;

use super::catalog::{PluginInfo, Plugins};
use super::model::{BatchConfig, ModelConfig};
use super::problem::{Problem, RegistryError};
use super::raw::{RawBatch, RawDevices, RawSource};
use super::read::{Document, Entry};
use super::{Registry, options, source};
use crate::metrics::UNKNOWN;

/// Longest id or alias, in bytes.
const MAX_NAME_BYTES: usize = 128;
/// Requests admitted at once, unless the registry says.
const DEFAULT_QUEUE: usize = 256;
/// Bound of `queue` and `batch.max`.
const MAX_COUNT: i64 = 65_536;
/// Bound of `threads`.
const MAX_THREADS: i64 = 1_024;
/// Longest wait for a batch to fill.
const MAX_BATCH_WAIT: Duration = Duration::from_secs(10);

/// Checks one model, collecting what is wrong with it.
struct Checker<'a> {
    entry: &'a Entry,
    problems: &'a mut Vec<Problem>,
}

/// Who has a name: the model's id, and the line where it takes the name.
type Names = HashMap<String, (String, usize)>;

/// The registry that `document`, the content of `file`, means.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn validate(file: &Path, document: Document, plugins: &Plugins) -> Result<Registry, RegistryError> {
    let Document {
        models: entries,
        mut problems,
    } = document;
    if entries.is_empty() && problems.is_empty() {
        let message = "has no models: add one with the line [[model]]";
        return Err(RegistryError::whole(file, message.into()));
    }
    let base = match file.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let mut names = Names::new();
    let mut models = vec![];
    for entry in &entries {
        let mut checker = Checker {
            entry,
            problems: &mut problems,
        };
        checker.names(&mut names);
        models.extend(checker.model(base, plugins));
    }
    if !problems.is_empty() {
        return Err(RegistryError::new(file, problems));
    }
    Ok(Registry { models })
}

// === impl Checker ===

impl Checker<'_> {
    fn problem(&mut self, key: &str, message: impl Into<String>) {
        let line = Some(self.entry.places.line(key));
        self.problems.push(Problem {
            line,
            model: self.entry.raw.id.clone(),
            message: message.into(),
        });
    }

    /// `None` exactly if a key without which there is no model is missing or wrong.
    fn model(&mut self, base: &Path, plugins: &Plugins) -> Option<ModelConfig> {
        let raw = &self.entry.raw;
        let plugin = self.plugin(plugins);
        let manifest = plugin.as_ref().map(|plugin| &*plugin.manifest);
        let path = self.path(base, manifest);
        let devices = self.devices(manifest);
        let batch = self.batch();
        let queue = self.count("queue", raw.queue, MAX_COUNT).unwrap_or(DEFAULT_QUEUE);
        let threads = self.count("threads", raw.threads, MAX_THREADS);
        let ttl = self.positive_duration("ttl", raw.ttl.as_deref());
        let timeout = self.positive_duration("timeout", raw.timeout.as_deref());
        self.options(manifest);
        let plugin = plugin?;
        Some(ModelConfig {
            id: raw.id.clone()?,
            aliases: raw.aliases.clone().unwrap_or_default(),
            plugin: raw.plugin.clone()?,
            executable: plugin.executable,
            tasks: plugin.manifest.tasks.clone(),
            path,
            load: raw.load.unwrap_or_default(),
            devices,
            dtype: raw.dtype.unwrap_or_default(),
            ttl,
            batch,
            queue,
            threads,
            token_input: raw.token_input.unwrap_or_default(),
            truncate: raw.truncate.unwrap_or_default(),
            timeout,
            options: raw.options.clone().unwrap_or_default(),
        })
    }

    /// Id and aliases: their syntax, and that nobody has them yet.
    fn names(&mut self, names: &mut Names) {
        let raw = &self.entry.raw;
        let Some(id) = &raw.id else {
            self.missing("id", "id = \"name\"");
            return;
        };
        self.name("id", id, id, names);
        for (index, alias) in raw.aliases.iter().flatten().enumerate() {
            self.name(&format!("aliases.{index}"), alias, id, names);
        }
    }

    fn name(&mut self, key: &str, name: &str, id: &str, names: &mut Names) {
        let what = if key == "id" { "id" } else { "alias" };
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            let rule = format!("use 1 to {MAX_NAME_BYTES} printable ASCII characters without spaces");
            self.problem(key, format!("{what} {name:?} can't be used: {rule}"));
            return;
        }
        if key == "id" && name == UNKNOWN {
            let what = "metrics have it for models that are not here; choose another";
            self.problem(key, format!("id {name:?} can't be used: {what}"));
        }
        let line = self.entry.places.line(key);
        if let Some((other, taken_at)) = names.get(name) {
            let message = format!("{what} {name:?} is taken by model {other:?} in line {taken_at}: choose another");
            self.problem(key, message);
            return;
        }
        names.insert(name.into(), (id.into(), line));
    }

    /// Says that a key is missing, unless it is there with a value that is a problem already.
    fn missing(&mut self, key: &str, example: &str) {
        if !self.entry.places.has(key) {
            self.problem(key, format!("{key} is missing: add a line such as {example}"));
        }
    }

    fn plugin(&mut self, plugins: &Plugins) -> Option<PluginInfo> {
        let Some(name) = &self.entry.raw.plugin else {
            self.missing("plugin", "plugin = \"candle\"");
            return None;
        };
        match plugins.get(name) {
            Some(Ok(plugin)) => Some(plugin.clone()),
            Some(Err(message)) => {
                self.problem("plugin", message.clone());
                None
            }
            None => {
                self.problem("plugin", format!("plugin {name:?} was not looked up"));
                None
            }
        }
    }

    fn path(&mut self, base: &Path, manifest: Option<&Manifest>) -> Option<PathBuf> {
        let Some(RawSource { path, hf, revision }) = &self.entry.raw.source else {
            let needs_files = manifest.filter(|manifest| !manifest.architectures.is_empty());
            if let Some(manifest) = needs_files.filter(|_| !self.entry.places.has("source")) {
                let hint = "add a line such as source = { path = \"models/name\" }";
                self.problem(
                    "source",
                    format!("source is missing: plugin {:?} loads files; {hint}", manifest.name),
                );
            }
            return None;
        };
        let hub_only = "this version doesn't download from the Hub: download the repository yourself and write \
                        source = { path = \"its directory\" }";
        if let Some(repository) = hf {
            self.problem(
                "source.hf",
                format!("source.hf {repository:?} can't be used: {hub_only}"),
            );
        }
        if revision.is_some() && hf.is_none() {
            self.problem("source.revision", format!("source.revision can't be used: {hub_only}"));
        }
        let Some(path) = path else {
            let other = ["source.path", "source.hf"]
                .iter()
                .any(|key| self.entry.places.has(key));
            if !other {
                self.problem(
                    "source",
                    "source.path is missing: write source = { path = \"models/name\" }",
                );
            }
            return None;
        };
        match source::resolve(base, path) {
            Ok(path) => Some(path),
            Err(message) => {
                self.problem("source.path", message);
                None
            }
        }
    }

    fn devices(&mut self, manifest: Option<&Manifest>) -> Vec<String> {
        let (devices, is_list) = match &self.entry.raw.device {
            None => return vec!["auto".into()],
            Some(RawDevices::One(device)) => (vec![device.clone()], false),
            Some(RawDevices::Many(devices)) => (devices.clone(), true),
        };
        if devices.is_empty() {
            self.problem(
                "device",
                "device is an empty list: name a device for each instance, or leave it out",
            );
        }
        for (index, device) in devices.iter().enumerate() {
            if let Err(message) = check_device(device, manifest) {
                let key = if is_list {
                    format!("device.{index}")
                } else {
                    "device".into()
                };
                self.problem(&key, message);
            }
        }
        devices
    }

    fn batch(&mut self) -> BatchConfig {
        let nothing = RawBatch::default();
        let raw = self.entry.raw.batch.as_ref().unwrap_or(&nothing);
        let max = self
            .count("batch.max", raw.max, MAX_COUNT)
            .and_then(|max| u32::try_from(max).ok());
        let wait = self.duration("batch.wait", raw.wait.as_deref()).unwrap_or_default();
        if wait > MAX_BATCH_WAIT {
            let longest = humantime::format_duration(MAX_BATCH_WAIT);
            self.problem(
                "batch.wait",
                format!("batch.wait is longer than {longest}: requests would wait as long"),
            );
        }
        BatchConfig { max, wait }
    }

    fn count(&mut self, key: &str, count: Option<i64>, most: i64) -> Option<usize> {
        let count = count?;
        if !(1..=most).contains(&count) {
            self.problem(key, format!("{key} is {count}: give a number from 1 to {most}"));
        }
        usize::try_from(count).ok()
    }

    fn duration(&mut self, key: &str, text: Option<&str>) -> Option<Duration> {
        let text = text?;
        match humantime::parse_duration(text) {
            Ok(duration) => Some(duration),
            Err(error) => {
                self.problem(
                    key,
                    format!("{key} {text:?} is not a duration ({error}): write it like \"10m\" or \"1h 30m\""),
                );
                None
            }
        }
    }

    fn positive_duration(&mut self, key: &str, text: Option<&str>) -> Option<Duration> {
        let duration = self.duration(key, text)?;
        if duration.is_zero() {
            self.problem(
                key,
                format!("{key} is zero: give a longer duration, or leave {key} out"),
            );
        }
        Some(duration)
    }

    fn options(&mut self, manifest: Option<&Manifest>) {
        let Some(manifest) = manifest else { return };
        let none = Map::new();
        let given = self.entry.raw.options.as_ref().unwrap_or(&none);
        for (key, message) in options::check(given, manifest) {
            self.problem(&key, message);
        }
    }
}

// === helpers ===

/// `auto`, `cpu`, or a kind and a number: `cuda:0`; and that the plugin can use that kind.
fn check_device(device: &str, manifest: Option<&Manifest>) -> Result<(), String> {
    if device == "auto" {
        return Ok(());
    }
    let (kind, number) = match device.split_once(':') {
        None => (device, None),
        Some((kind, number)) => (kind, Some(number)),
    };
    let is_kind = !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_number = match number {
        None => kind == "cpu",
        Some(number) => {
            kind != "cpu" && number.len() <= 3 && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
        }
    };
    if !is_kind || !is_number {
        return Err(format!(
            "device {device:?} is not a device: write \"auto\", \"cpu\", or a kind and a number as in \"cuda:0\""
        ));
    }
    match manifest {
        Some(manifest) if !manifest.devices.iter().any(|known| known == kind) => Err(format!(
            "device {device:?} can't be used: this build of plugin {:?} supports {}",
            manifest.name,
            manifest.devices.join(", ")
        )),
        _ => Ok(()),
    }
}
