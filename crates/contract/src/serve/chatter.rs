//! The chat service: checks a request, hands it to the model, streams what comes back.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::Stream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Request, Response, Status};

use super::model::{ModelSlot, guarded};
use super::work::Working;
use crate::convert::check_request;
use crate::proto::chatter_server::Chatter;
use crate::{ChatEvent, ChatReply, ChatRequest, PluginError, proto};

/// Events that wait for the host to read them.
const EVENTS: usize = 64;

/// How long a call may wait for one that the host has called off and that is still ending: a long prompt is read in
/// one step.
const ENDING: Duration = Duration::from_secs(30);

/// Serves `Chatter`.
pub(super) struct ChatterService {
    model: Arc<ModelSlot>,
}

/// What one call holds until both the model and the host are done with it.
#[derive(Debug)]
struct Held {
    _working: Working,
    _place: OwnedSemaphorePermit,
}

/// The events of one call. Dropping it calls the work off.
pub(super) struct Events {
    events: mpsc::Receiver<Result<ChatEvent, PluginError>>,
    progress: Progress,
    _cancel: DropGuard,
    _held: Arc<Held>,
}

/// How far the events of one call have come.
enum Progress {
    Open,
    /// The last event has been passed on.
    Finished,
    Closed,
}

// === impl ChatterService ===

impl ChatterService {
    pub(super) fn new(model: Arc<ModelSlot>) -> Self {
        Self { model }
    }
}

#[tonic::async_trait]
impl Chatter for ChatterService {
    type ChatStream = Events;

    async fn chat(&self, request: Request<proto::ChatRequest>) -> Result<Response<Events>, Status> {
        let ready = self.model.ready()?;
        let Some(chat) = ready.chat.as_ref() else {
            return Err(Status::unimplemented("this model can't chat"));
        };
        let request = ChatRequest::try_from(request.into_inner())?;
        check_request(&request, &chat.capabilities)?;
        let place = tokio::time::timeout(ENDING, chat.places.clone().acquire_owned()).await;
        let too_many = |_| {
            let most = ready.max_batch;
            Status::resource_exhausted(format!("{most} calls are under way; this model takes no more"))
        };
        let place = place.map_err(|_| too_many(()))?.map_err(|_| too_many(()))?;
        let held = Arc::new(Held {
            _working: self.model.work().begin(),
            _place: place,
        });
        let (sender, events) = mpsc::channel(EVENTS);
        let cancelled = CancellationToken::new();
        let context = self.model.work().context(cancelled.clone());
        let reply = ChatReply::new(sender, context).holding(held.clone());
        guarded(|| {
            chat.handler.chat(request, reply);
            Ok(())
        })?;
        Ok(Response::new(Events {
            events,
            progress: Progress::Open,
            _cancel: cancelled.drop_guard(),
            _held: held,
        }))
    }
}

// === impl Events ===

impl Stream for Events {
    type Item = Result<proto::ChatEvent, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if matches!(self.progress, Progress::Closed) {
            return Poll::Ready(None);
        }
        Poll::Ready(match ready!(self.events.poll_recv(context)) {
            Some(Ok(event)) => {
                if matches!(event, ChatEvent::Finished(_) | ChatEvent::Refused(_)) {
                    self.progress = Progress::Finished;
                }
                Some(Ok(event.into()))
            }
            Some(Err(error)) => {
                self.progress = Progress::Closed;
                Some(Err(error.into()))
            }
            None => {
                let finished = matches!(self.progress, Progress::Finished);
                self.progress = Progress::Closed;
                (!finished).then(|| Err(Status::internal("the model dropped the reply before it was finished")))
            }
        })
    }
}
