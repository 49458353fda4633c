//! The embed service: checks a batch, hands it to the model's thread, checks what comes back.

use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::model::{EmbedJob, ModelSlot};
use crate::convert::check_inputs;
use crate::proto::embedder_server::Embedder;
use crate::{EmbedCapabilities, EmbedInput, Embedding, ItemError, MessageLimits, PluginError, proto};

/// Calls that may be under way: one that computes and one that waits.
const MAX_CALLS: usize = 2;

/// How long a call may wait for one that the host has cancelled and that is still ending.
const ENDING: Duration = Duration::from_secs(1);

/// Serves `Embedder`.
pub(super) struct EmbedderService {
    model: Arc<ModelSlot>,
    calls: Semaphore,
    limits: MessageLimits,
}

// === impl EmbedderService ===

impl EmbedderService {
    pub(super) fn new(model: Arc<ModelSlot>, limits: MessageLimits) -> Self {
        Self {
            model,
            calls: Semaphore::new(MAX_CALLS),
            limits,
        }
    }

    /// The reply, if it keeps the contract.
    fn reply(
        &self,
        results: Vec<Result<Embedding, ItemError>>,
        expected: usize,
        embed: &EmbedCapabilities,
    ) -> Result<proto::EmbedReply, PluginError> {
        if results.len() != expected {
            let message = format!("the model gave {} results for {expected} inputs", results.len());
            return Err(PluginError::instance(message));
        }
        for embedding in results.iter().flatten() {
            embedding
                .validate(embed.width)
                .map_err(|invalid| PluginError::instance(invalid.to_string()))?;
        }
        let reply = proto::EmbedReply {
            results: results.into_iter().map(Into::into).collect(),
        };
        if reply.encoded_len() > self.limits.max_message_bytes {
            let limit = self.limits.max_message_bytes;
            return Err(PluginError::instance(format!(
                "the reply is over the message limit of {limit} bytes"
            )));
        }
        Ok(reply)
    }
}

#[tonic::async_trait]
impl Embedder for EmbedderService {
    /// Dropped when the host cancels, its deadline passes, or the connection breaks; the
    /// job is then skipped, or told so through its context.
    async fn embed(&self, request: Request<proto::EmbedRequest>) -> Result<Response<proto::EmbedReply>, Status> {
        let ready = self.model.ready()?;
        let Some((embed, queue)) = ready.embed.as_ref() else {
            return Err(Status::unimplemented("this model can't embed"));
        };
        let inputs = request
            .into_inner()
            .inputs
            .into_iter()
            .map(EmbedInput::try_from)
            .collect::<Result<Vec<_>, _>>()?;
        let expected = inputs.len();
        check_inputs(&inputs, embed, ready.max_batch)?;
        let place = tokio::time::timeout(ENDING, self.calls.acquire()).await;
        let _call = place.map_err(|_| too_many())?.map_err(|_| too_many())?;
        let cancelled = CancellationToken::new();
        let _cancel_on_drop = cancelled.clone().drop_guard();
        let (reply, result) = oneshot::channel();
        let job = EmbedJob {
            inputs,
            cancelled,
            reply,
            working: self.model.work().begin(),
        };
        queue.try_send(job).map_err(|_| too_many())?;
        let results = result
            .await
            .map_err(|_| Status::internal("the model's thread is gone"))??;
        Ok(Response::new(self.reply(results, expected, embed)?))
    }
}

fn too_many() -> Status {
    Status::resource_exhausted(format!(
        "{MAX_CALLS} calls are under way; the host keeps no more on one instance"
    ))
}
