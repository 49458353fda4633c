//! What can be wrong with a file of a model's directory. It is the model's fault, and plugins report it as that.

use std::fmt;

/// A file of the model can't be read or makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {problem}")]
pub struct FileError {
    /// Path within the model's directory.
    pub file: String,
    /// What is wrong with it and what to do.
    pub problem: String,
}

// === impl FileError ===

impl FileError {
    /// `file` is relative to the model's directory.
    pub fn new(file: impl Into<String>, problem: impl fmt::Display) -> Self {
        Self {
            file: file.into(),
            problem: problem.to_string(),
        }
    }
}
