//! The engine, and a sequence in it.

use std::sync::Arc;

use mistralrs::{CustomLogitsProcessor, MistralRs, Request, Response};
use sensorium_contract::PluginError;
use tokio::sync::mpsc;

use super::{
    lane::{Lane, Load, Place},
    request::request,
};
use crate::prompt::Input;

/// The engine of one model. Clones share it.
#[derive(Clone)]
pub(crate) struct Engine {
    /// Ends its thread when dropped.
    _runner: Arc<MistralRs>,
    /// Taken once: asking the runner for it would start a dead engine anew.
    requests: mpsc::Sender<Request>,
    lane: Lane,
}

/// A sequence in the engine.
pub(crate) struct Job {
    responses: mpsc::Receiver<Response>,
    place: Place,
}

// === impl Engine ===

impl Engine {
    /// The engine behind `lane`.
    ///
    /// # Errors
    /// In words, if it is gone already.
    pub(crate) fn new(runner: Arc<MistralRs>, lane: Lane) -> Result<Self, String> {
        let requests = runner.get_sender(None).map_err(|error| error.to_string())?;
        Ok(Self {
            _runner: runner,
            requests,
            lane,
        })
    }

    /// Where its requests go.
    pub(crate) fn requests(&self) -> mpsc::Sender<Request> {
        self.requests.clone()
    }

    /// Waits until a sequence of this load may start; dropping the future gives the turn up.
    pub(crate) async fn enter(&self, load: Load) -> Place {
        self.lane.enter(load).await
    }

    /// Share of the keys' and values' room that is taken, where it has a fixed size.
    pub(crate) fn kv_usage(&self) -> Option<f32> {
        self.lane.kv_usage()
    }

    /// Starts a sequence.
    ///
    /// # Errors
    /// [`sensorium_contract::Fault::Instance`] if the engine is gone.
    pub(crate) async fn start(
        &self,
        place: Place,
        input: Input,
        max_tokens: u32,
        processor: Arc<dyn CustomLogitsProcessor>,
    ) -> Result<Job, PluginError> {
        let (request, responses) = request(input, max_tokens, processor);
        match self.requests.send(request).await {
            Ok(()) => Ok(Job { responses, place }),
            Err(_) => Err(PluginError::instance("the engine is gone")),
        }
    }
}

// === impl Job ===

impl Job {
    /// The prompt has been read.
    pub(crate) fn read(&mut self) {
        self.place.read();
    }

    /// Resolves when the engine is done with the sequence.
    ///
    /// # Errors
    /// What went wrong in the engine.
    pub(crate) async fn done(&mut self) -> Result<(), PluginError> {
        loop {
            let problem = match self.responses.recv().await {
                None => return Ok(()),
                Some(Response::InternalError(error) | Response::ValidationError(error)) => error.to_string(),
                Some(Response::ModelError(error, _) | Response::CompletionModelError(error, _)) => error,
                Some(_) => continue,
            };
            // What follows are the names of functions.
            let problem = problem.lines().next().unwrap_or_default();
            return Err(PluginError::instance(format!("the engine failed: {problem}")));
        }
    }

    /// Keeps the place until the engine is done with the sequence, whose sampler has been told to end it. The engine's
    /// answers are read to the end: an error that nobody takes would panic it (utils/mod.rs:178).
    pub(crate) fn leave(mut self) {
        tokio::spawn(async move {
            while self.responses.recv().await.is_some() {}
            drop(self.place);
        });
    }
}
