//! The chat service: checks a request, hands it to the model, streams what comes back.

use std::sync::Arc;

use tokio::sync::mpsc;
use tonic::{Request, Response, Status};

use super::model::{ModelSlot, guarded};
use super::streamed::{Call, Events};
use crate::convert::check_request;
use crate::proto::chatter_server::Chatter;
use crate::{ChatEvent, ChatReply, ChatRequest, proto};

/// Events that wait for the host to read them.
const EVENTS: usize = 64;

/// Serves `Chatter`.
pub(super) struct ChatterService {
    model: Arc<ModelSlot>,
}

// === impl ChatterService ===

impl ChatterService {
    pub(super) fn new(model: Arc<ModelSlot>) -> Self {
        Self { model }
    }
}

#[tonic::async_trait]
impl Chatter for ChatterService {
    type ChatStream = Events<ChatEvent>;

    async fn chat(&self, request: Request<proto::ChatRequest>) -> Result<Response<Events<ChatEvent>>, Status> {
        let ready = self.model.ready()?;
        let Some((capabilities, handler)) = ready.chat.as_ref() else {
            return Err(Status::unimplemented("this model can't chat"));
        };
        let request = ChatRequest::try_from(request.into_inner())?;
        check_request(&request, capabilities)?;
        let call = Call::begin(&self.model, &ready).await?;
        let (sender, events) = mpsc::channel(EVENTS);
        let reply = ChatReply::new(sender, call.context()).holding(call.held());
        guarded(|| {
            handler.chat(request, reply);
            Ok(())
        })?;
        Ok(Response::new(call.events(events, ())))
    }
}
