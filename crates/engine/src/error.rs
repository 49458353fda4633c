//! Why a request was not done. The API maps each to one status and one error code.
//!
//! The policy: an error says whose it is. `ModelNotFound`, `TaskUnsupported`, `Item`,
//! `Refused` and `Caller` are the caller's and would come again; `QueueFull`, `Unavailable`, `Draining`
//! and `Crashed` would not, some time later; `Model` is the model's, however often it is
//! asked. Nothing here names a path, a pointer or a socket, except what a model's
//! failure to load says of the operator's own files, which goes to the log alone.

use std::time::Duration;

use sensorium_contract::{Invalid, ItemError, RefusalCode, Refused, Task};

/// Why a request was not done.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// No entry of the registry has this id or alias.
    #[error("the model `{model}` does not exist")]
    ModelNotFound {
        /// As the caller called it.
        model: String,
    },
    /// The model can't do this kind of work.
    #[error("the model `{model}` can't do the task `{}`", task.as_str())]
    TaskUnsupported {
        /// Its id.
        model: String,
        /// What was asked of it.
        task: Task,
    },
    /// All of the model's slots are taken.
    #[error("the queue of the model `{model}` is full; try again later")]
    QueueFull {
        /// Its id.
        model: String,
        /// When to try again, estimated from how fast it has been working.
        retry_after: Duration,
    },
    /// The model can't be loaded, or keeps dying.
    #[error("the model `{model}` is not available: {reason}")]
    Unavailable {
        /// Its id.
        model: String,
        /// Why.
        reason: String,
        /// When it will be tried again.
        retry_after: Duration,
    },
    /// The server is about to stop.
    #[error("the server is shutting down")]
    Draining,
    /// The request's time is over.
    #[error("the request took longer than it may")]
    Deadline,
    /// The client has gone away.
    #[error("the request was cancelled")]
    Cancelled,
    /// One input can't be read.
    #[error("input {index}: {error}")]
    Item {
        /// Its place in the request's inputs, from 0.
        index: usize,
        /// What is wrong with it.
        error: ItemError,
    },
    /// The prompt can't be answered.
    #[error("{0}")]
    Refused(#[source] Refused),
    /// The plugin says that the input is bad.
    #[error("{message}")]
    Caller {
        /// What is wrong with it.
        message: String,
    },
    /// The plugin says that the model can't do this.
    #[error("{message}")]
    Model {
        /// Why.
        message: String,
    },
    /// The process died, or failed, while it worked for this request, and once again when it tried anew; or it did so
    /// when some of the reply had been handed on.
    #[error("the process of the model `{model}` failed while it worked on this request")]
    Crashed {
        /// Its id.
        model: String,
    },
}

// === impl Error ===

impl Error {
    /// A request that asks for what the model's capabilities don't list.
    pub(crate) fn refused(invalid: Invalid) -> Self {
        Self::Refused(Refused {
            code: RefusalCode::InvalidInput,
            message: invalid.to_string(),
            field: invalid.field.to_owned(),
        })
    }
}
