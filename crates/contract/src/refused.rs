//! Why a request can't be served, where that is the caller's fault and the whole reply.

/// Why a prompt can't be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// What is wrong with it.
    pub code: RefusalCode,
    /// For the caller's eyes: names no path, pointer or socket.
    pub message: String,
    /// What it is about, as `plugin.proto` calls it: `conversation.messages[2].parts[1]`; may be empty.
    pub field: String,
}

/// The same, of a chat.
pub type ChatRefused = Refused;

/// What is wrong with a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalCode {
    /// It can't be read.
    InvalidInput,
    /// With its reply it doesn't fit in the context.
    ContextLength,
    /// The schema of the output or of a tool can't be followed.
    Schema,
}

impl RefusalCode {
    /// For logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            RefusalCode::InvalidInput => "invalid_input",
            RefusalCode::ContextLength => "context_length",
            RefusalCode::Schema => "schema",
        }
    }
}
