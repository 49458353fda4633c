//! The image service: checks a request, hands it to the model, streams what comes back.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::model::{ModelSlot, guarded};
use super::streamed::{Call, Events};
use crate::event::ReplyEvent as _;
use crate::proto::imager_server::Imager;
use crate::{ImageEvent, ImageReply, ImageRequest, proto};

/// Serves `Imager`.
pub(super) struct ImagerService {
    model: Arc<ModelSlot>,
}

// === impl ImagerService ===

impl ImagerService {
    pub(super) fn new(model: Arc<ModelSlot>) -> Self {
        Self { model }
    }
}

#[tonic::async_trait]
impl Imager for ImagerService {
    type ImagineStream = Events<ImageEvent>;

    async fn imagine(&self, request: Request<proto::ImageRequest>) -> Result<Response<Events<ImageEvent>>, Status> {
        let ready = self.model.ready()?;
        let Some((capabilities, handler)) = ready.image.as_ref() else {
            return Err(Status::unimplemented("this model can't make images"));
        };
        let request = ImageRequest::try_from(request.into_inner())?;
        capabilities.check(&request)?;
        let call = Call::begin(&self.model, &ready).await?;
        let expected = ImageEvent::expected(&request);
        let (reply, events) = ImageReply::new(&request, call.context());
        let reply = reply.holding(call.held());
        guarded(|| {
            handler.imagine(request, reply);
            Ok(())
        })?;
        Ok(Response::new(call.events(events, expected)))
    }
}
