//! Errors, and whose fault they are. Only an instance's own faults count against its health.

/// Whose fault an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The input is bad: another input would do.
    Caller,
    /// The model can't do this, however often it is asked.
    Model,
    /// This process has gone wrong: another instance, or a restart, would do.
    Instance,
}

/// What a plugin answers when it can't do what it was asked. Becomes a gRPC status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PluginError {
    /// Whose fault it is.
    pub fault: Fault,
    /// What happened and what to do; names no path, pointer or socket if the fault is the caller's.
    pub message: String,
}

/// A message that breaks the contract.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct Invalid {
    /// The field, as `plugin.proto` names it.
    pub field: &'static str,
    /// What is wrong, continuing the sentence that the field begins.
    pub problem: String,
}

// === impl PluginError ===

impl PluginError {
    /// The input is bad.
    pub fn caller(message: impl Into<String>) -> Self {
        Self {
            fault: Fault::Caller,
            message: message.into(),
        }
    }

    /// The model can't be loaded or can't do this.
    pub fn model(message: impl Into<String>) -> Self {
        Self {
            fault: Fault::Model,
            message: message.into(),
        }
    }

    /// This process has gone wrong.
    pub fn instance(message: impl Into<String>) -> Self {
        Self {
            fault: Fault::Instance,
            message: message.into(),
        }
    }
}

// === impl Invalid ===

impl Invalid {
    /// `field` is what `plugin.proto` calls it; `problem` continues the sentence.
    pub fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self {
            field,
            problem: problem.into(),
        }
    }
}
