//! What a plugin executable is, before any model is loaded.

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// The protocol version that this crate speaks.
pub const PROTOCOL: ProtocolVersion = ProtocolVersion { major: 1, minor: 2 };

/// Version of the protocol. Versions with the same major number understand each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtocolVersion {
    /// Changes when something is removed or means something else.
    pub major: u32,
    /// Changes when something is added.
    pub minor: u32,
}

/// A kind of work; each has one trait and one gRPC service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Text or images to vectors of one space.
    Embed,
    /// Messages, with images, to a reply.
    Chat,
    /// A prompt, with images, to images.
    Image,
    /// Speech to text.
    Transcribe,
}

/// What a plugin executable is and can do. Printed as JSON by `sensorium-<name> describe`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The `<name>` of `sensorium-<name>`: lower-case letters, digits and `-`.
    pub name: String,
    /// Version of the plugin, semver.
    pub version: String,
    /// Version of the protocol that it speaks.
    pub protocol: ProtocolVersion,
    /// Tasks that it serves; at least one.
    pub tasks: Vec<Task>,
    /// Kinds of device that this build can use: `cpu`, `cuda`, `metal`.
    pub devices: Vec<String>,
    /// True if it opens network connections.
    #[serde(default)]
    pub network: bool,
    /// JSON Schema of the options that a model may have; `None` if it takes none.
    #[serde(default)]
    pub options_schema: Option<serde_json::Value>,
    /// Architectures that it can load, as the models' own configuration files call them.
    #[serde(default)]
    pub architectures: Vec<String>,
}

// === impl Manifest ===

impl Manifest {
    /// Checks what the types alone don't hold.
    ///
    /// # Errors
    /// The first field that breaks the contract.
    pub fn validate(&self) -> Result<(), Invalid> {
        if !is_plugin_name(&self.name) {
            let problem = format!(
                "is \"{}\"; it is lower-case letters, digits and '-'",
                self.name.escape_debug()
            );
            return Err(Invalid::new("name", problem));
        }
        if !is_version(&self.version) {
            let problem = format!(
                "is \"{}\"; it is a semantic version, as 1.2.3",
                self.version.escape_debug()
            );
            return Err(Invalid::new("version", problem));
        }
        if self.protocol.major == 0 {
            return Err(Invalid::new("protocol.major", "is 0; the first version is 1"));
        }
        if self.tasks.is_empty() {
            return Err(Invalid::new("tasks", "is empty; a plugin serves at least one"));
        }
        if self
            .tasks
            .iter()
            .enumerate()
            .any(|(i, task)| self.tasks[..i].contains(task))
        {
            return Err(Invalid::new("tasks", "names one twice"));
        }
        if self.devices.is_empty() || self.devices.iter().any(String::is_empty) {
            return Err(Invalid::new(
                "devices",
                "is empty or has an empty name; \"cpu\" is the least",
            ));
        }
        if self.architectures.iter().any(String::is_empty) {
            return Err(Invalid::new("architectures", "has an empty name"));
        }
        if self.options_schema.as_ref().is_some_and(|schema| !schema.is_object()) {
            return Err(Invalid::new("options_schema", "is not a JSON object"));
        }
        Ok(())
    }
}

/// True for what may follow `sensorium-` in the name of an executable.
pub(crate) fn is_plugin_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// `MAJOR.MINOR.PATCH`, then an optional `-pre` or `+build`.
fn is_version(version: &str) -> bool {
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let parts: Vec<&str> = core.split('.').collect();
    parts.len() == 3
        && parts
            .iter()
            .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}

// === impl ProtocolVersion ===

impl ProtocolVersion {
    /// True if two ends with these versions understand each other.
    pub fn is_compatible_with(self, other: ProtocolVersion) -> bool {
        self.major == other.major
    }
}

impl std::fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

// === impl Task ===

impl Task {
    /// The name used in logs and metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Task::Embed => "embed",
            Task::Chat => "chat",
            Task::Image => "image",
            Task::Transcribe => "transcribe",
        }
    }
}
