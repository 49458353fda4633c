//! The service that every plugin has.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::model::ModelSlot;
use super::shutdown::Stop;
use crate::proto::lifecycle_server::Lifecycle;
use crate::{LoadRequest, proto};

/// Load events that wait for the host to read them; more progress than that is skipped.
const EVENTS: usize = 32;

/// Describe, load, health, stop.
pub(super) struct LifecycleService {
    model: Arc<ModelSlot>,
    stop: Stop,
}

// === impl LifecycleService ===

impl LifecycleService {
    pub(super) fn new(model: Arc<ModelSlot>, stop: Stop) -> Self {
        Self { model, stop }
    }
}

#[tonic::async_trait]
impl Lifecycle for LifecycleService {
    type LoadStream = ReceiverStream<Result<proto::LoadEvent, Status>>;

    async fn describe(&self, _: Request<proto::DescribeRequest>) -> Result<Response<proto::Manifest>, Status> {
        Ok(Response::new(self.model.manifest().clone().into()))
    }

    async fn load(&self, request: Request<proto::LoadRequest>) -> Result<Response<Self::LoadStream>, Status> {
        let request = LoadRequest::try_from(request.into_inner())?;
        let (events, stream) = mpsc::channel(EVENTS);
        self.model.clone().load(request, events)?;
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn health(&self, _: Request<proto::HealthRequest>) -> Result<Response<proto::HealthReply>, Status> {
        Ok(Response::new(self.model.health().into()))
    }

    async fn stop(&self, request: Request<proto::StopRequest>) -> Result<Response<proto::StopReply>, Status> {
        self.stop
            .request(Duration::from_millis(request.into_inner().grace_ms.into()));
        Ok(Response::new(proto::StopReply {}))
    }
}
