//! What all models of an engine share.

use std::sync::Arc;
use std::time::Duration;

use sensorium_contract::MessageLimits;
use tokio::runtime::Handle;

use crate::cache::EmbeddingCache;
use crate::{Metrics, Supervision};

/// What all models of an engine share.
pub(crate) struct Shared {
    /// Where instances are watched and batches run, whichever thread a request came in on.
    pub(crate) runtime: Handle,
    pub(crate) supervision: Supervision,
    pub(crate) message_limits: MessageLimits,
    /// How long running requests may take to finish when a model stops.
    pub(crate) drain_grace: Duration,
    pub(crate) cache: EmbeddingCache,
    pub(crate) metrics: Arc<Metrics>,
}
