//! The chat task: one task of this plugin's own runtime for each reply.

use std::{sync::Arc, time::Duration};

use sensorium_contract::{
    Chat, ChatEvent, ChatFinished, ChatRefused, ChatReply, ChatRequest, ChatStarted, OutputFormat, PluginError, Prompt,
    Sampling,
};
use tokio::{
    runtime::Runtime,
    time::{Instant, interval},
};

use crate::{
    engine::{Engine, Load, exit_with_engine, guarded},
    prompt::{Input, Preparer, Prompted},
    reply::{Call, End, Replies},
};

/// How often a prompt that is being read says that it is not stalled.
const READING: Duration = Duration::from_secs(1);

/// For how long it says so: at least, and for each token of the prompt. After that it is stalled.
const READING_AT_MOST: (Duration, Duration) = (Duration::from_secs(30), Duration::from_millis(50));

/// A model that chats.
pub(crate) struct Chatter {
    shared: Arc<Shared>,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

/// What all replies share.
pub(crate) struct Shared {
    pub(crate) preparer: Preparer,
    pub(crate) replies: Replies,
    pub(crate) engine: Engine,
}

// === impl Chatter ===

impl Chatter {
    /// A chatter whose replies run on `runtime`.
    pub(crate) fn new(shared: Shared, runtime: Runtime) -> Self {
        runtime.spawn(exit_with_engine(shared.engine.requests()));
        Self {
            shared: Arc::new(shared),
            runtime: Some(runtime),
        }
    }
}

impl Chat for Chatter {
    fn chat(&self, request: ChatRequest, reply: ChatReply) {
        if let Some(runtime) = &self.runtime {
            runtime.spawn(self.shared.clone().reply(request, reply));
        }
    }

    fn kv_usage(&self) -> Option<f32> {
        self.shared.engine.kv_usage()
    }
}

impl Drop for Chatter {
    fn drop(&mut self) {
        // A runtime must not be waited for where others run.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

// === impl Shared ===

impl Shared {
    async fn reply(self: Arc<Self>, request: ChatRequest, reply: ChatReply) {
        let prepared = tokio::task::spawn_blocking({
            let shared = self.clone();
            move || guarded(|| shared.prepare(&request))
        });
        let prepared = tokio::select! {
            prepared = prepared => prepared,
            () = reply.cancelled() => return,
        };
        let (mut prompted, call) = match prepared.map_err(|error| error.to_string()).flatten() {
            Ok(Ok(prepared)) => prepared,
            Ok(Err(refused)) => {
                // If nobody waits for it, nobody is to be told.
                let _ = reply.send(ChatEvent::Refused(refused)).await;
                return;
            }
            Err(problem) => {
                reply
                    .fail(PluginError::instance(format!(
                        "the prompt could not be made: {problem}"
                    )))
                    .await;
                return;
            }
        };
        let result = match self.look(&mut prompted.input, &reply).await {
            Ok(true) => self.generate(prompted, call, &reply).await,
            Ok(false) => return,
            Err(error) => Err(error),
        };
        if let Err(error) = result {
            reply.fail(error).await;
        }
    }

    /// Where images are seen outside the engine, looks at one after another; `false` if nobody waits for it any more.
    async fn look(self: &Arc<Self>, input: &mut Input, reply: &ChatReply) -> Result<bool, PluginError> {
        let Input::Images { images, .. } = input else {
            return Ok(true);
        };
        for image in images {
            let (shared, pixels) = (self.clone(), std::mem::take(image));
            let seen = tokio::task::spawn_blocking(move || guarded(|| shared.preparer.look(pixels)));
            let seen = tokio::select! {
                seen = seen => seen,
                () = reply.cancelled() => return Ok(false),
            };
            *image = match seen.map_err(|error| error.to_string()).flatten() {
                Ok(Ok(seen)) => seen,
                Ok(Err(too_long)) => return Err(PluginError::model(too_long.to_string())),
                Err(problem) => return Err(PluginError::instance(format!("an image could not be seen: {problem}"))),
            };
            // An image is more work than a token.
            reply.tick();
        }
        Ok(true)
    }

    /// Has the engine make one token, so that a model that fails fails now.
    ///
    /// # Errors
    /// What went wrong.
    pub(crate) async fn warm_up(&self) -> Result<(), PluginError> {
        let request = ChatRequest {
            prompt: Prompt::Text("hello".to_owned()),
            sampling: Sampling::default(),
            max_tokens: Some(1),
            stop: Vec::new(),
            top_logprobs: None,
            format: OutputFormat::Text,
        };
        // A model that can't read this is asked no more.
        let Ok((prompted, call)) = self.prepare(&request) else {
            return Ok(());
        };
        let Call { processor, mut reply } = call;
        let load = Load {
            tokens: prompted.prompt_tokens + 1,
            images: false,
        };
        let place = self.engine.enter(load).await;
        let mut job = self.engine.start(place, prompted.input, 1, processor).await?;
        match reply.next().await {
            Some(step) => match step.end {
                Some(End::Failed(error)) => Err(error),
                _ => job.done().await,
            },
            None => job.done().await.and(Err(PluginError::instance("the engine died"))),
        }
    }

    /// All that takes time before the engine comes in.
    fn prepare(&self, request: &ChatRequest) -> Result<(Prompted, Call), ChatRefused> {
        let prompted = self.preparer.prepare(request)?;
        let call = self
            .replies
            .start(request, &prompted.ids, prompted.max_tokens as usize)?;
        Ok((prompted, call))
    }

    /// `Ok` also if nobody waits for the reply any more.
    async fn generate(&self, prompted: Prompted, call: Call, out: &ChatReply) -> Result<(), PluginError> {
        let Call { processor, mut reply } = call;
        let load = Load {
            tokens: prompted.prompt_tokens.saturating_add(prompted.max_tokens),
            images: prompted.image_tokens > 0,
        };
        let place = tokio::select! {
            place = self.engine.enter(load) => place,
            () = out.cancelled() => return Ok(()),
        };
        let started = ChatStarted {
            prompt_tokens: prompted.prompt_tokens,
            image_tokens: prompted.image_tokens,
        };
        if out.send(ChatEvent::Started(started)).await.is_err() {
            return Ok(());
        }
        let mut job = self
            .engine
            .start(place, prompted.input, prompted.max_tokens, processor)
            .await?;
        let mut ticks = interval(READING);
        let read_until = Instant::now() + READING_AT_MOST.0 + READING_AT_MOST.1 * prompted.prompt_tokens;
        let mut over = false;
        let result = loop {
            let step = tokio::select! {
                biased;
                () = out.cancelled() => break Ok(()),
                step = reply.next() => step,
                done = job.done(), if !over => match done {
                    // What has been chosen may still be on its way.
                    Ok(()) => { over = true; continue }
                    Err(error) => break Err(error),
                },
                _ = ticks.tick(), if reply.tokens() == 0 => {
                    if Instant::now() < read_until {
                        out.tick();
                    }
                    continue;
                }
            };
            let Some(step) = step else {
                // The sampler goes with its sequence; why it went comes by the other way.
                let why = if over { Ok(()) } else { job.done().await };
                let dropped = || PluginError::instance("the engine dropped the reply before it was whole");
                break why.and_then(|()| Err(dropped()));
            };
            job.read();
            let mut events = step.events;
            match step.end {
                Some(End::Finished(reason)) => events.push(ChatEvent::Finished(ChatFinished {
                    reason,
                    completion_tokens: reply.tokens(),
                    cached_tokens: 0,
                })),
                Some(End::Failed(error)) => break Err(error),
                None => {}
            }
            let last = matches!(events.last(), Some(ChatEvent::Finished(_)));
            let mut gone = false;
            for event in events {
                gone = gone || out.send(event).await.is_err();
            }
            if last || gone {
                break Ok(());
            }
        };
        // The processor sees that nobody reads any more, and ends the sequence at its next token.
        drop(reply);
        job.leave();
        result
    }
}
