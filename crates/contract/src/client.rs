//! The host's end of the socket: typed calls to one plugin process, their replies validated.

mod reply;

use std::path::Path;
use std::time::{Duration, Instant};

use hyper_util::rt::TokioIo;
use prost::Message as _;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};

pub use self::reply::{ChatCall, ImageCall, ReplyCall};
use crate::convert::{results_from_reply, to_call_error};
use crate::proto::chatter_client::ChatterClient;
use crate::proto::embedder_client::EmbedderClient;
use crate::proto::imager_client::ImagerClient;
use crate::proto::lifecycle_client::LifecycleClient;
use crate::{
    Capabilities, ChatRequest, EmbedInput, Embedding, Fault, Health, ImageEvent, ImageRequest, Invalid, ItemError,
    LoadProgress, LoadRequest, Manifest, MessageLimits, PluginError, ReplyEvent as _, proto,
};

/// Within what time a plugin answers what costs it no work.
const PROMPT: Duration = Duration::from_secs(10);

/// A connection to one plugin process. Clones are cheap and share it; calls
/// may overlap. Dropping the future of a call cancels it in the plugin too.
#[derive(Debug, Clone)]
pub struct PluginClient {
    lifecycle: LifecycleClient<Channel>,
    embedder: EmbedderClient<Channel>,
    chatter: ChatterClient<Channel>,
    imager: ImagerClient<Channel>,
    limits: MessageLimits,
}

/// Why a call gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The plugin answered with an error.
    #[error("{0}")]
    Plugin(PluginError),
    /// The deadline passed first.
    #[error("the deadline passed before the plugin answered")]
    Deadline,
    /// The call was cancelled.
    #[error("the call was cancelled")]
    Cancelled,
    /// The connection broke: the process died, or will.
    #[error("the connection to the plugin broke: {0}")]
    Transport(String),
    /// A reply that breaks the contract.
    #[error("the plugin's reply breaks the contract: {0}")]
    Breach(#[source] Invalid),
}

// === impl CallError ===

impl CallError {
    /// Whose fault it is; `None` if the work was called off, which is nobody's.
    pub fn fault(&self) -> Option<Fault> {
        match self {
            CallError::Plugin(error) => Some(error.fault),
            CallError::Transport(_) | CallError::Breach(_) => Some(Fault::Instance),
            CallError::Deadline | CallError::Cancelled => None,
        }
    }
}

// === impl PluginClient ===

impl PluginClient {
    /// Connects to a plugin's socket, where it already listens. Needs a tokio runtime.
    ///
    /// # Errors
    /// If nothing listens there.
    pub async fn connect(socket: &Path, limits: MessageLimits) -> Result<Self, tonic::transport::Error> {
        let socket = socket.to_owned();
        let connector = tower::service_fn(move |_| {
            let socket = socket.clone();
            async move { tokio::net::UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        // The address is only a name: the connector above goes to the socket.
        let endpoint = Endpoint::from_static("http://plugin.sensorium");
        let channel = endpoint
            .clone()
            .initial_stream_window_size(MessageLimits::WINDOW_BYTES)
            .initial_connection_window_size(2 * MessageLimits::WINDOW_BYTES)
            .connect_with_connector(connector.clone())
            .await?;
        // Of its own, so that replies which nobody reads fill no window but their own. Connects when it is needed.
        let replies = endpoint
            .initial_stream_window_size(MessageLimits::REPLY_WINDOW_BYTES)
            .initial_connection_window_size(MessageLimits::MAX_REPLIES * MessageLimits::REPLY_WINDOW_BYTES)
            .connect_with_connector_lazy(connector);
        let limit = limits.max_message_bytes;
        Ok(Self {
            lifecycle: LifecycleClient::new(channel.clone())
                .max_decoding_message_size(limit)
                .max_encoding_message_size(limit),
            embedder: EmbedderClient::new(channel)
                .max_decoding_message_size(limit)
                .max_encoding_message_size(limit),
            chatter: ChatterClient::new(replies.clone())
                .max_decoding_message_size(limit)
                .max_encoding_message_size(limit),
            imager: ImagerClient::new(replies)
                .max_decoding_message_size(limit)
                .max_encoding_message_size(limit),
            limits,
        })
    }

    /// What the executable is.
    ///
    /// # Errors
    /// See [`CallError`]; [`CallError::Breach`] if the manifest is not valid.
    pub async fn describe(&self) -> Result<Manifest, CallError> {
        let mut client = self.lifecycle.clone();
        let reply = within(PROMPT, client.describe(proto::DescribeRequest {})).await?;
        reply.try_into().map_err(CallError::Breach)
    }

    /// Loads the process's one model; takes as long as that takes. `progress` is called as the plugin reports.
    ///
    /// # Errors
    /// [`Fault::Caller`] for bad options, [`Fault::Model`] if it can't be loaded; else see [`CallError`].
    pub async fn load(
        &self,
        request: &LoadRequest,
        mut progress: impl FnMut(LoadProgress),
    ) -> Result<Capabilities, CallError> {
        use proto::load_event::Event;
        let request = proto::LoadRequest::try_from(request).map_err(|invalid| caller(invalid.to_string()))?;
        let mut events = self
            .lifecycle
            .clone()
            .load(request)
            .await
            .map_err(to_call_error)?
            .into_inner();
        while let Some(message) = events.message().await.map_err(to_call_error)? {
            match message.event {
                Some(Event::Progress(event)) => progress(event.into()),
                Some(Event::Loaded(capabilities)) => return capabilities.try_into().map_err(CallError::Breach),
                // An event that a later minor version has added.
                None => {}
            }
        }
        Err(CallError::Breach(Invalid::new(
            "event",
            "`loaded` never came, though the stream has ended",
        )))
    }

    /// One batch. One result for each input, in order; each vector is checked to have `width`
    /// finite numbers and an L2 norm of 1. `deadline` is the plugin's too.
    ///
    /// # Errors
    /// See [`CallError`]; what is wrong with one input alone is in its own result.
    pub async fn embed(
        &self,
        inputs: Vec<EmbedInput>,
        width: u32,
        deadline: Option<Instant>,
    ) -> Result<Vec<Result<Embedding, ItemError>>, CallError> {
        let expected = inputs.len();
        let message = proto::EmbedRequest {
            inputs: inputs.into_iter().map(Into::into).collect(),
        };
        self.check_size(message.encoded_len())?;
        let mut client = self.embedder.clone();
        let mut request = Request::new(message);
        let reply = match deadline {
            None => client.embed(request).await.map_err(to_call_error)?.into_inner(),
            Some(deadline) => {
                let left = left(deadline)?;
                request.set_timeout(left);
                within(left, client.embed(request))
                    .await
                    .map_err(|error| after(deadline, error))?
            }
        };
        results_from_reply(reply, expected, width).map_err(CallError::Breach)
    }

    /// Asks for one reply to one prompt. `deadline` is for the whole reply and is the plugin's too.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn chat(&self, request: ChatRequest, deadline: Option<Instant>) -> Result<ChatCall, CallError> {
        let message = proto::ChatRequest::from(request);
        self.check_size(message.encoded_len())?;
        let mut client = self.chatter.clone();
        let call = |request| async move { client.chat(request).await };
        Ok(ReplyCall::new(streamed(message, deadline, call).await?, (), deadline))
    }

    /// Asks for one request's images. `deadline` is for all of them and is the plugin's too.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn imagine(&self, request: ImageRequest, deadline: Option<Instant>) -> Result<ImageCall, CallError> {
        let expected = ImageEvent::expected(&request);
        let message = proto::ImageRequest::from(request);
        self.check_size(message.encoded_len())?;
        let mut client = self.imager.clone();
        let call = |request| async move { client.imagine(request).await };
        Ok(ReplyCall::new(
            streamed(message, deadline, call).await?,
            expected,
            deadline,
        ))
    }

    fn check_size(&self, size: usize) -> Result<(), CallError> {
        let limit = self.limits.max_message_bytes;
        if size > limit {
            let message = format!("the request is {size} bytes, over the message limit of {limit}; send less");
            return Err(caller(message));
        }
        Ok(())
    }

    /// What the plugin says of itself. A plugin answers at once, whatever it is computing;
    /// one that does not is as good as hung.
    ///
    /// # Errors
    /// See [`CallError`]; [`CallError::Deadline`] after 10 s.
    pub async fn health(&self) -> Result<Health, CallError> {
        let mut client = self.lifecycle.clone();
        let reply = within(PROMPT, client.health(proto::HealthRequest {})).await?;
        reply.try_into().map_err(CallError::Breach)
    }

    /// Asks the process to finish what runs within `grace`, then to exit. Returns once it has heard.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn stop(&self, grace: Duration) -> Result<(), CallError> {
        let grace_ms = u32::try_from(grace.as_millis()).unwrap_or(u32::MAX);
        let mut client = self.lifecycle.clone();
        within(PROMPT, client.stop(proto::StopRequest { grace_ms })).await?;
        Ok(())
    }
}

/// What a call streams back, once it has begun to.
async fn streamed<M, W, F>(
    message: M,
    deadline: Option<Instant>,
    call: impl FnOnce(Request<M>) -> F,
) -> Result<Streaming<W>, CallError>
where
    F: Future<Output = Result<Response<Streaming<W>>, Status>>,
{
    let mut request = Request::new(message);
    let call = async move {
        if let Some(deadline) = deadline {
            request.set_timeout(left(deadline)?);
        }
        call(request).await.map_err(to_call_error)
    };
    Ok(by(deadline, call).await?.into_inner())
}

/// The time left.
fn left(deadline: Instant) -> Result<Duration, CallError> {
    deadline
        .checked_duration_since(Instant::now())
        .ok_or(CallError::Deadline)
}

/// What a call comes to, if it does in time.
async fn by<T>(deadline: Option<Instant>, call: impl Future<Output = Result<T, CallError>>) -> Result<T, CallError> {
    let Some(deadline) = deadline else { return call.await };
    match tokio::time::timeout_at(deadline.into(), call).await {
        Ok(result) => result.map_err(|error| after(deadline, error)),
        Err(_) => Err(CallError::Deadline),
    }
}

fn caller(message: String) -> CallError {
    CallError::Plugin(PluginError::caller(message))
}

/// What a call has failed with. A plugin that gives up at the deadline may reset the stream
/// before this end's timer has run out.
fn after(deadline: Instant, error: CallError) -> CallError {
    match error {
        CallError::Transport(_) | CallError::Cancelled if Instant::now() >= deadline => CallError::Deadline,
        other => other,
    }
}

/// The reply to a call, if it comes in time.
async fn within<T>(limit: Duration, call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, CallError> {
    match tokio::time::timeout(limit, call).await {
        Ok(reply) => Ok(reply.map_err(to_call_error)?.into_inner()),
        Err(_) => Err(CallError::Deadline),
    }
}
