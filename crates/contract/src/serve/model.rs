//! The one model of this process, and the thread that loads it and computes with it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::logging;
use super::work::{WorkCounter, Working};
use crate::{
    Chat, ChatCapabilities, Embed, EmbedCapabilities, EmbedInput, Embedding, Health, ImageCapabilities, Imagine,
    ItemError, LoadProgress, LoadRequest, LoadState, LoadedModel, Manifest, Plugin, PluginError, Task, proto,
};

/// Jobs in the channel. Two are let in at a time; the rest is room for cancelled ones that
/// the thread has not yet come to.
const QUEUE: usize = 64;

/// As much stack as a program's first thread has: graphs are walked recursively.
const STACK_BYTES: usize = 8 << 20;

type Events = mpsc::Sender<Result<proto::LoadEvent, Status>>;
type EmbedResults = Result<Vec<Result<Embedding, ItemError>>, PluginError>;

/// Where the one model of this process is, or will be.
pub(super) struct ModelSlot {
    plugin: Arc<dyn Plugin>,
    manifest: Manifest,
    state: Mutex<State>,
    work: WorkCounter,
}

enum State {
    Empty,
    Loading,
    Ready(Arc<Ready>),
    Failed,
    /// The process is about to end and takes no more calls; those under way still need their model.
    Closed {
        _ready: Option<Arc<Ready>>,
    },
}

/// What a service needs to know of a loaded model.
pub(super) struct Ready {
    pub(super) max_batch: u32,
    pub(super) embed: Option<(EmbedCapabilities, SyncSender<EmbedJob>)>,
    pub(super) chat: Option<(ChatCapabilities, Arc<dyn Chat>)>,
    pub(super) image: Option<(ImageCapabilities, Arc<dyn Imagine>)>,
    /// One for each streamed call that may be under way.
    pub(super) places: Arc<Semaphore>,
}

/// One batch for the model's thread.
pub(super) struct EmbedJob {
    pub(super) inputs: Vec<EmbedInput>,
    pub(super) cancelled: CancellationToken,
    pub(super) reply: oneshot::Sender<EmbedResults>,
    pub(super) working: Working,
}

// === impl ModelSlot ===

impl ModelSlot {
    pub(super) fn new(plugin: Arc<dyn Plugin>, manifest: Manifest) -> Self {
        Self {
            plugin,
            manifest,
            state: Mutex::new(State::Empty),
            work: WorkCounter::default(),
        }
    }

    pub(super) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(super) fn work(&self) -> &WorkCounter {
        &self.work
    }

    pub(super) fn health(&self) -> Health {
        let mut handler = None;
        let state = match &*self.state() {
            State::Empty => LoadState::Empty,
            State::Loading => LoadState::Loading,
            State::Ready(ready) => {
                handler = ready.chat.as_ref().map(|(_, handler)| handler.clone());
                LoadState::Loaded
            }
            State::Closed { .. } => LoadState::Loaded,
            State::Failed => LoadState::Failed,
        };
        Health {
            state,
            progress: self.work.progress(),
            running: self.work.running(),
            kv_usage: handler.and_then(|handler| handler.kv_usage()),
        }
    }

    /// The model, if there is one.
    pub(super) fn ready(&self) -> Result<Arc<Ready>, Status> {
        match &*self.state() {
            State::Ready(ready) => Ok(ready.clone()),
            State::Closed { .. } => Err(Status::unavailable("the plugin is stopping")),
            State::Empty | State::Loading | State::Failed => Err(Status::failed_precondition("no model is loaded")),
        }
    }

    /// Takes no more calls.
    pub(super) fn close(&self) {
        let mut state = self.state();
        let ready = match &*state {
            State::Ready(ready) => Some(ready.clone()),
            State::Empty | State::Loading | State::Failed | State::Closed { .. } => None,
        };
        *state = State::Closed { _ready: ready };
    }

    /// Starts the model's thread, which loads and then computes.
    ///
    /// # Errors
    /// FAILED_PRECONDITION if this is not the first load.
    pub(super) fn load(self: Arc<Self>, request: LoadRequest, events: Events) -> Result<(), Status> {
        {
            let mut state = self.state();
            if !matches!(*state, State::Empty) {
                return Err(Status::failed_precondition(
                    "this process has loaded its one model; start another",
                ));
            }
            *state = State::Loading;
        }
        let thread = std::thread::Builder::new().name("model".into()).stack_size(STACK_BYTES);
        let spawned = thread.spawn(move || self.run(&request, &events));
        spawned
            .map(|_| ())
            .map_err(|error| Status::internal(format!("cannot start the model's thread: {error}")))
    }

    /// The model's thread.
    fn run(&self, request: &LoadRequest, events: &Events) {
        tracing::info!(
            model = request.model,
            device = request.device,
            dtype = request.dtype,
            "loading"
        );
        let loaded = match self.load_here(request, events) {
            Ok(loaded) => loaded,
            Err(error) => {
                tracing::error!(model = request.model, fault = ?error.fault, "loading failed: {error}");
                self.set_unless_closed(State::Failed);
                // An error means that the host no longer listens.
                let _ = events.blocking_send(Err(error.into()));
                return;
            }
        };
        let (sender, jobs) = sync_channel(QUEUE);
        let LoadedModel {
            capabilities,
            embed,
            chat,
            image,
        } = loaded;
        let ready = Ready {
            max_batch: capabilities.max_batch,
            embed: capabilities.embed.clone().map(|e| (e, sender)),
            chat: capabilities.chat.clone().zip(chat),
            image: capabilities.image.clone().zip(image),
            places: Arc::new(Semaphore::new(capabilities.max_batch as usize)),
        };
        self.set_unless_closed(State::Ready(Arc::new(ready)));
        tracing::info!(
            model = request.model,
            device = capabilities.device,
            dtype = capabilities.dtype,
            "loaded"
        );
        let event = proto::load_event::Event::Loaded(capabilities.into());
        let _ = events.blocking_send(Ok(proto::LoadEvent { event: Some(event) }));
        if let Some(mut embed) = embed {
            self.compute(embed.as_mut(), &jobs);
        }
    }

    fn load_here(&self, request: &LoadRequest, events: &Events) -> Result<LoadedModel, PluginError> {
        let report = |progress: LoadProgress| {
            let event = proto::load_event::Event::Progress(progress.into());
            // Progress is a hint: when the host lags behind, it is skipped.
            let _ = events.try_send(Ok(proto::LoadEvent { event: Some(event) }));
        };
        let loaded = guarded(|| self.plugin.load(request, &report))?;
        check(&loaded, &self.manifest)?;
        Ok(loaded)
    }

    /// Computes one job after another until the process ends.
    fn compute(&self, model: &mut dyn Embed, jobs: &Receiver<EmbedJob>) {
        while let Ok(EmbedJob {
            inputs,
            cancelled,
            reply,
            working,
        }) = jobs.recv()
        {
            if cancelled.is_cancelled() {
                continue;
            }
            let before = self.work.progress();
            let context = self.work.context(cancelled);
            let results = guarded(|| model.embed(&inputs, &context));
            if self.work.progress() == before {
                self.work.add(inputs.len() as u64);
            }
            drop(working);
            // An error means that nobody waits any more.
            let _ = reply.send(results);
        }
    }

    fn set_unless_closed(&self, next: State) {
        let mut state = self.state();
        if !matches!(*state, State::Closed { .. }) {
            *state = next;
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A panic in the plugin's code is an error of this instance, not the end of its thread.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, PluginError>) -> Result<T, PluginError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let message = logging::message(payload.as_ref());
        Err(PluginError::instance(format!("the plugin panicked: {message}")))
    })
}

/// Capabilities, handlers and manifest must tell the same story.
fn check(loaded: &LoadedModel, manifest: &Manifest) -> Result<(), PluginError> {
    let capabilities = &loaded.capabilities;
    capabilities
        .validate()
        .map_err(|invalid| PluginError::instance(format!("capabilities: {invalid}")))?;
    for (task, can, handler) in [
        (Task::Embed, capabilities.embed.is_some(), loaded.embed.is_some()),
        (Task::Chat, capabilities.chat.is_some(), loaded.chat.is_some()),
        (Task::Image, capabilities.image.is_some(), loaded.image.is_some()),
    ] {
        let name = task.as_str();
        if can != handler {
            let message = format!("capabilities.{name} and the {name} handler are not both there");
            return Err(PluginError::instance(message));
        }
        if can && !manifest.tasks.contains(&task) {
            let message = format!("the model can do the task {name}, but the manifest doesn't list it");
            return Err(PluginError::instance(message));
        }
    }
    Ok(())
}
