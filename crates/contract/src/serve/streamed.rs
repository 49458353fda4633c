//! What the services have in common whose replies are streamed: a place for each call, and its events.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::Stream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::Status;

use super::model::{ModelSlot, Ready};
use super::work::Working;
use crate::event::{Moment, ReplyEvent};
use crate::{CallContext, PluginError};

/// How long a call may wait for one that the host has called off and that is still ending: a long prompt is read in
/// one step.
const ENDING: Duration = Duration::from_secs(30);

/// A call that has a place on the model.
pub(super) struct Call {
    held: Arc<Held>,
    cancelled: CancellationToken,
    context: CallContext,
}

/// What one call holds until both the model and the host are done with it.
#[derive(Debug)]
pub(super) struct Held {
    _working: Working,
    _place: OwnedSemaphorePermit,
}

/// The events of one call. Dropping it calls the work off.
pub(super) struct Events<E: ReplyEvent> {
    events: mpsc::Receiver<Result<E, PluginError>>,
    expected: E::Expected,
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

// === impl Call ===

impl Call {
    /// Waits for a place, if the host has called off the call that still has it.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED if the host has more calls under way than the model takes.
    pub(super) async fn begin(model: &ModelSlot, ready: &Ready) -> Result<Self, Status> {
        let too_many = || {
            let most = ready.max_batch;
            Status::resource_exhausted(format!("{most} calls are under way; this model takes no more"))
        };
        let place = tokio::time::timeout(ENDING, ready.places.clone().acquire_owned()).await;
        let place = place.map_err(|_| too_many())?.map_err(|_| too_many())?;
        let held = Arc::new(Held {
            _working: model.work().begin(),
            _place: place,
        });
        let cancelled = CancellationToken::new();
        let context = model.work().context(cancelled.clone());
        Ok(Self {
            held,
            cancelled,
            context,
        })
    }

    /// What the model needs to know of the call.
    pub(super) fn context(&self) -> CallContext {
        self.context.clone()
    }

    /// What the reply keeps until the model is done with it.
    pub(super) fn held(&self) -> Arc<Held> {
        self.held.clone()
    }

    /// What goes to the host: what comes out of `events`, as far as it is `expected`.
    pub(super) fn events<E: ReplyEvent>(
        self,
        events: mpsc::Receiver<Result<E, PluginError>>,
        expected: E::Expected,
    ) -> Events<E> {
        Events {
            events,
            expected,
            progress: Progress::Open,
            _cancel: self.cancelled.drop_guard(),
            _held: self.held,
        }
    }
}

// === impl Events ===

impl<E: ReplyEvent> Events<E> {
    fn pass(&mut self, event: E) -> Result<E::Wire, Status> {
        if let Err(invalid) = event.check(&mut self.expected) {
            self.progress = Progress::Closed;
            return Err(PluginError::instance(format!("the model's reply breaks the contract: {invalid}")).into());
        }
        if matches!(event.moment(), Moment::Ends | Moment::Refuses) {
            self.progress = Progress::Finished;
        }
        Ok(event.into_wire())
    }
}

impl<E: ReplyEvent> Stream for Events<E> {
    type Item = Result<E::Wire, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if matches!(self.progress, Progress::Closed) {
            return Poll::Ready(None);
        }
        Poll::Ready(match ready!(self.events.poll_recv(context)) {
            Some(Ok(event)) => Some(self.pass(event)),
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
