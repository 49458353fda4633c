//! What the probes answer.

use serde::Serialize;
use utoipa::ToSchema;

/// Whether the server should be sent requests.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ready {
    /// `ready`, `not_ready` or `draining`.
    #[schema(example = "ready")]
    pub(crate) status: &'static str,
    /// Every model's state.
    pub(crate) models: Vec<ModelHealth>,
}

/// A model's state.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelHealth {
    /// Its id.
    #[schema(example = "shapes-clip")]
    pub(crate) id: String,
    /// `unloaded`, `loading`, `ready`, `failed` or `broken`.
    #[schema(example = "ready")]
    pub(crate) state: &'static str,
}

/// A summary for people.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ready`, `not_ready` or `draining`.
    #[schema(example = "ready")]
    pub(crate) status: &'static str,
    /// Version of the server.
    #[schema(example = "0.1.0")]
    pub(crate) version: &'static str,
    /// Seconds since it started.
    #[schema(example = 3600)]
    pub(crate) uptime_seconds: u64,
    /// Requests under way.
    #[schema(example = 0)]
    pub(crate) requests_running: usize,
    /// Every model's state.
    pub(crate) models: Vec<ModelHealth>,
}

/// The process lives.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Live {
    /// Always `ok`.
    #[schema(example = "ok")]
    pub(crate) status: &'static str,
}
