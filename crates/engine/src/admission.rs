//! A request that has been let in: it holds one slot of its model until it is dropped.

use std::sync::Arc;
use std::time::Instant;

use sensorium_contract::{
    Capabilities, EmbedCapabilities, EmbedInput, EmbedPayload, Embedding, ItemError, ItemErrorCode, Modality, Task,
};
use tokio_util::sync::CancellationToken;

use crate::cache::{CacheKey, CacheScope};
use crate::model::{Core, Slot};
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

/// One slot of one model. Dropping it, and every [`ChatStream`](crate::ChatStream) that came of it, frees the slot.
pub struct Admission {
    model: ModelSummary,
    core: Arc<Core>,
    capabilities: Arc<Capabilities>,
    context: RequestContext,
    slot: Arc<Slot>,
}

/// What the cache had of a request, and what it had not.
struct Lookup {
    /// One for each input; `None` where it must be computed.
    results: Vec<Option<Embedding>>,
    /// What must be computed, in order.
    missing: Vec<Missing>,
}

struct Missing {
    /// Its place in the request.
    index: usize,
    /// `None` if the cache is off.
    key: Option<CacheKey>,
}

// === impl Admission ===

impl Admission {
    pub(crate) fn new(
        model: ModelSummary,
        core: Arc<Core>,
        capabilities: Arc<Capabilities>,
        context: RequestContext,
        slot: Slot,
    ) -> Self {
        Self {
            model,
            core,
            capabilities,
            context,
            slot: Arc::new(slot),
        }
    }

    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    pub(crate) fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }

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

    /// Vectors in input order, from the cache or from the model. Requests larger than a batch are split; what an
    /// instance's death takes with it is tried once more, alone. Dropping the future calls the work off.
    ///
    /// # Errors
    /// See [`Error`]. One bad input fails the request.
    pub async fn embed(&self, inputs: Vec<EmbedInput>) -> Result<Vec<Embedding>, Error> {
        let unsupported = || Error::TaskUnsupported {
            model: self.model.id.clone(),
            task: Task::Embed,
        };
        let embed = self.capabilities.embed.as_ref().ok_or_else(unsupported)?;
        check(embed, &inputs)?;
        let Lookup { mut results, missing } = self.look_up(&inputs);
        if !missing.is_empty() {
            let wanted = pick(inputs, &missing);
            let computed = self
                .compute(wanted)
                .await
                .map_err(|error| in_request(error, &missing))?;
            for (Missing { index, key }, embedding) in missing.into_iter().zip(computed) {
                if let Some(key) = key {
                    self.core.shared().cache.insert(key, Arc::new(embedding.clone()));
                }
                results[index] = Some(embedding);
            }
        }
        self.slot.answered();
        Ok(results.into_iter().flatten().collect())
    }

    /// Through the queue, to an instance and back.
    async fn compute(&self, inputs: Vec<EmbedInput>) -> Result<Vec<Embedding>, Error> {
        self.core
            .dispatcher()
            .submit(inputs, self.context.deadline, &self.context.cancel)?
            .answer()
            .await
    }

    fn look_up(&self, inputs: &[EmbedInput]) -> Lookup {
        let shared = self.core.shared();
        if !shared.cache.is_enabled() {
            let missing = (0..inputs.len()).map(|index| Missing { index, key: None }).collect();
            return Lookup {
                results: inputs.iter().map(|_| None).collect(),
                missing,
            };
        }
        let scope = CacheScope::new(&self.context.owner, &self.model.id, &self.capabilities.revision);
        let mut lookup = Lookup {
            results: Vec::with_capacity(inputs.len()),
            missing: Vec::new(),
        };
        for (index, input) in inputs.iter().enumerate() {
            let key = scope.key(input);
            let found = shared.cache.get(&key);
            if found.is_none() {
                lookup.missing.push(Missing { index, key: Some(key) });
            }
            lookup.results.push(found.map(|embedding| Embedding::clone(&embedding)));
        }
        let misses = lookup.missing.len();
        shared.metrics.cache(&self.model.id, inputs.len() - misses, misses);
        lookup
    }
}

/// The missing ones of the inputs, moved.
fn pick(inputs: Vec<EmbedInput>, missing: &[Missing]) -> Vec<EmbedInput> {
    let mut wanted = missing.iter().map(|missing| missing.index).peekable();
    let inputs = inputs.into_iter().enumerate();
    inputs
        .filter_map(|(index, input)| wanted.next_if_eq(&index).map(|_| input))
        .collect()
}

/// An error of the missing inputs, in terms of the whole request.
fn in_request(error: Error, missing: &[Missing]) -> Error {
    match error {
        Error::Item { index, error } => Error::Item {
            index: missing[index].index,
            error,
        },
        other => other,
    }
}

/// The plugin is never sent what the model's capabilities don't list.
fn check(embed: &EmbedCapabilities, inputs: &[EmbedInput]) -> Result<(), Error> {
    for (index, input) in inputs.iter().enumerate() {
        let problem = match (&input.payload, embed.image) {
            (EmbedPayload::Text(_), _) if !embed.reads(Modality::Text) => "this model reads no text".to_owned(),
            (EmbedPayload::TokenIds(_), _) if !embed.token_ids => "this model reads no token ids".to_owned(),
            (EmbedPayload::Text(_) | EmbedPayload::TokenIds(_), _) => continue,
            (EmbedPayload::Image(_), None) => "this model reads no images".to_owned(),
            (EmbedPayload::Image(image), Some(spec)) => {
                let (has, wants) = ((image.width(), image.height()), (spec.width, spec.height));
                if has == wants {
                    continue;
                }
                format!(
                    "the image has {}×{} pixels, the model wants {}×{}",
                    has.0, has.1, wants.0, wants.1
                )
            }
        };
        return Err(Error::Item {
            index,
            error: ItemError {
                code: ItemErrorCode::InvalidInput,
                message: problem,
            },
        });
    }
    Ok(())
}
