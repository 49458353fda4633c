//! What a plugin executable is, before any model is loaded.

use serde::{Deserialize, Serialize};

/// The protocol version that this crate speaks.
pub const PROTOCOL: ProtocolVersion = ProtocolVersion { major: 1, minor: 0 };

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
    pub network: bool,
    /// JSON Schema of the options that a model may have; `None` if it takes none.
    pub options_schema: Option<serde_json::Value>,
    /// Architectures that it can load, as the models' own configuration files call them.
    pub architectures: Vec<String>,
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
