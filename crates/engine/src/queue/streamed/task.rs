//! What the tasks whose replies are streamed differ in.

use std::fmt::Debug;
use std::time::Instant;

use sensorium_contract::client::{CallError, PluginClient, ReplyCall};
use sensorium_contract::{
    ChatEvent, ChatRequest, ChatStarted, ImageEvent, ImageRequest, ImageStarted, Refused, ReplyEvent, Task,
};

use crate::Metrics;
use crate::metrics::{ChatMeter, ImageMeter, Meter};

/// Events of a reply that wait for a slow consumer; a full buffer stalls this reply alone.
const EVENTS: usize = 256;

/// The same where each event carries log probabilities, and so a kilobyte or two.
const LARGE_EVENTS: usize = 32;

/// The same where each event may be an image.
const IMAGE_EVENTS: usize = 4;

/// An event of a task whose replies are streamed.
pub(crate) trait Streamed: ReplyEvent {
    /// What the prompt came to.
    type Started: Debug + Copy + Send + Sync + 'static;
    /// What measures a reply.
    type Meter: Meter<Self>;

    /// The task.
    const TASK: Task;

    /// Events that wait for a slow consumer.
    fn room(request: &Self::Request) -> usize;

    /// Sends a request to an instance.
    fn ask(
        client: &PluginClient,
        request: Self::Request,
        deadline: Instant,
    ) -> impl Future<Output = Result<ReplyCall<Self>, CallError>> + Send;

    /// What a prompt came to, if this event says it.
    fn opening(self) -> Option<Result<Self::Started, Refused>>;

    /// Begins to measure a reply of a model that was asked for at `asked`.
    fn meter(metrics: &Metrics, model: &str, asked: Instant) -> Self::Meter;
}

impl Streamed for ChatEvent {
    type Started = ChatStarted;
    type Meter = ChatMeter;

    const TASK: Task = Task::Chat;

    fn room(request: &ChatRequest) -> usize {
        match request.top_logprobs {
            None => EVENTS,
            Some(_) => LARGE_EVENTS,
        }
    }

    async fn ask(client: &PluginClient, request: ChatRequest, deadline: Instant) -> Result<ReplyCall<Self>, CallError> {
        client.chat(request, Some(deadline)).await
    }

    fn opening(self) -> Option<Result<ChatStarted, Refused>> {
        match self {
            ChatEvent::Started(started) => Some(Ok(started)),
            ChatEvent::Refused(refused) => Some(Err(refused)),
            ChatEvent::Delta(_) | ChatEvent::ToolCall(_) | ChatEvent::Finished(_) => None,
        }
    }

    fn meter(metrics: &Metrics, model: &str, asked: Instant) -> ChatMeter {
        metrics.chat_meter(model, asked)
    }
}

impl Streamed for ImageEvent {
    type Started = ImageStarted;
    type Meter = ImageMeter;

    const TASK: Task = Task::Image;

    fn room(_: &ImageRequest) -> usize {
        IMAGE_EVENTS
    }

    async fn ask(
        client: &PluginClient,
        request: ImageRequest,
        deadline: Instant,
    ) -> Result<ReplyCall<Self>, CallError> {
        client.imagine(request, Some(deadline)).await
    }

    fn opening(self) -> Option<Result<ImageStarted, Refused>> {
        match self {
            ImageEvent::Started(started) => Some(Ok(started)),
            ImageEvent::Refused(refused) => Some(Err(refused)),
            ImageEvent::Step(_) | ImageEvent::Preview(_) | ImageEvent::Image(_) | ImageEvent::Finished => None,
        }
    }

    fn meter(metrics: &Metrics, model: &str, _: Instant) -> ImageMeter {
        metrics.image_meter(model)
    }
}
