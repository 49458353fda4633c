//! The thread that owns the pipeline, and the calls that it works on.

mod active;
mod run;
mod translate;

use std::{
    sync::mpsc::{SyncSender, TrySendError, sync_channel},
    thread,
};

use sensorium_contract::{ImageReply, ImageRequest, Imagine, PluginError};

use crate::pipeline::Pipeline;
pub(crate) use translate::Defaults;

/// One request and its way back.
struct Call {
    request: ImageRequest,
    reply: ImageReply,
}

/// Hands calls to the thread that owns the pipeline.
pub(crate) struct Worker {
    calls: SyncSender<Call>,
}

// === impl Worker ===

impl Worker {
    /// Starts the thread. It ends when the worker is dropped and its calls are done.
    ///
    /// # Errors
    /// If there can be no more threads.
    pub(crate) fn start(pipeline: Pipeline, defaults: Defaults, threads: i32, places: usize) -> std::io::Result<Self> {
        // Calls that were cancelled may still be ending when new ones come.
        let (sender, calls) = sync_channel(2 * places);
        thread::Builder::new().name("denoiser".to_owned()).spawn(move || {
            tch::set_num_threads(threads);
            run::run(&pipeline, &defaults, &calls);
        })?;
        Ok(Self { calls: sender })
    }
}

impl Imagine for Worker {
    fn imagine(&self, request: ImageRequest, reply: ImageReply) {
        match self.calls.try_send(Call { request, reply }) {
            Ok(()) => {}
            Err(TrySendError::Full(call)) => {
                call.reply.fail(PluginError::instance(
                    "more calls are under way than this instance takes",
                ));
            }
            Err(TrySendError::Disconnected(call)) => {
                call.reply
                    .fail(PluginError::instance("the thread that computes is gone"));
            }
        }
    }
}
