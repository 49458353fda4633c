//! A model that chats without weights: what it says follows from a hash of what it was asked.
//!
//! Equal requests have equal replies; decoded greedily they depend on nothing but the prompt, else also on the
//! seed and on how tokens are chosen. It names the sizes of the images that it sees, then says words; or repeats the
//! user ([`Says::Echo`](options::Says)); or gives the smallest value that follows a schema; or calls the tools that
//! the user speaks of. See [`crate::order`] for what a prompt may tell it to do.

mod options;
mod prompt;
mod schema;
mod script;
mod words;
mod writer;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sensorium_contract::{Chat, ChatDelta, ChatEvent, ChatFinished, ChatReply, ChatRequest, FinishReason};

pub(crate) use self::options::ChatOptions;
use self::prompt::{Reading, said};
use self::script::Script;
use self::writer::Writer;
use crate::conduct::{Conduct, End};
use crate::order::{Order, What};

/// Prompts that it remembers having read.
const REMEMBERED: usize = 64;

/// A model that chats.
pub(crate) struct ChatModel {
    shared: Arc<Shared>,
}

struct Shared {
    options: ChatOptions,
    conduct: Conduct,
    /// Calls that may be under way.
    places: u32,
    running: AtomicU32,
    /// The prompts that were read last.
    read: Mutex<VecDeque<u64>>,
}

/// Counts a call as running until it is dropped.
struct Running<'a>(&'a AtomicU32);

// === impl ChatModel ===

impl ChatModel {
    /// A model that says it takes so many calls at once.
    pub(crate) fn new(options: ChatOptions, places: u32, allow_misbehaviour: bool) -> Self {
        let shared = Shared {
            options,
            conduct: Conduct::new(allow_misbehaviour, "conversation.messages[0]"),
            places,
            running: AtomicU32::new(0),
            read: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }
}

impl Drop for ChatModel {
    fn drop(&mut self) {
        self.shared.conduct.end();
    }
}

impl Chat for ChatModel {
    fn chat(&self, request: ChatRequest, reply: ChatReply) {
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            let _running = Running::new(&shared.running);
            match shared.answer(&request, &reply).await {
                Ok(()) | Err(End::Gone | End::Dropped) => {}
                // An error means that nobody waits for it.
                Err(End::Refused(refused)) => drop(reply.send(ChatEvent::Refused(refused)).await),
                Err(End::Failed(error)) => reply.fail(error).await,
            }
        });
    }

    fn kv_usage(&self) -> Option<f32> {
        let running = self.shared.running.load(Ordering::Relaxed);
        Some((running as f32 / self.shared.places.max(1) as f32).min(1.0))
    }
}

// === impl Shared ===

impl Shared {
    async fn answer(&self, request: &ChatRequest, reply: &ChatReply) -> Result<(), End> {
        let order = self.conduct.order(&said(request));
        self.conduct.obey(order.as_ref(), None, reply).await?;
        self.conduct.work(self.options.prompt_latency, reply).await?;
        let reading = Reading::new(request, &self.options)?;
        let words = match &order {
            Some(Order {
                what: What::Say(words), ..
            }) => Some(*words),
            _ => None,
        };
        let script = Script::new(request, &reading, &self.options, words)?;
        let cached_tokens = self.cached(&reading);
        reply.send(ChatEvent::Started(reading.started)).await?;
        let (reason, completion_tokens) = self.say(request, &reading, &script, order.as_ref(), reply).await?;
        if reason == FinishReason::ToolCalls {
            for call in &script.calls {
                reply.send(ChatEvent::ToolCall(call.clone())).await?;
            }
        }
        let finished = ChatFinished {
            reason,
            completion_tokens,
            cached_tokens,
        };
        reply.send(ChatEvent::Finished(finished)).await?;
        Ok(())
    }

    /// Says all of the script that there is room for; why it ended, and after how many tokens.
    async fn say(
        &self,
        request: &ChatRequest,
        reading: &Reading,
        script: &Script,
        order: Option<&Order>,
        reply: &ChatReply,
    ) -> Result<(FinishReason, u32), End> {
        let room = request.max_tokens.unwrap_or(reading.room).min(reading.room);
        // What a call is made of is no text: no stop string ends it.
        let stop = if script.is_call() { &[] } else { request.stop.as_slice() };
        let mut writer = Writer::new(stop, request.top_logprobs);
        let mut tokens = 0;
        let reason = loop {
            self.conduct.obey(order, Some(tokens), reply).await?;
            if tokens == room {
                break FinishReason::Length;
            }
            self.conduct.work(self.options.token_latency, reply).await?;
            tokens += 1;
            let Some(token) = script.token(tokens - 1) else {
                // The token that ends the reply.
                break if script.is_call() {
                    FinishReason::ToolCalls
                } else {
                    FinishReason::Stop
                };
            };
            let (delta, stopped) = match script.is_call() {
                true => (
                    ChatDelta {
                        tokens: 1,
                        ..ChatDelta::default()
                    },
                    false,
                ),
                false => writer.push(&token),
            };
            reply.send(ChatEvent::Delta(delta)).await?;
            if stopped {
                return Ok((FinishReason::Stop, tokens));
            }
        };
        if let Some(rest) = writer.rest() {
            reply.send(ChatEvent::Delta(rest)).await?;
        }
        Ok((reason, tokens))
    }

    /// Tokens of a prompt that were read before; all but one, if it is known.
    fn cached(&self, reading: &Reading) -> u32 {
        if !self.options.prefix_cache {
            return 0;
        }
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.contains(&reading.prompt_key) {
            return reading.started.prompt_tokens.saturating_sub(1);
        }
        if read.len() == REMEMBERED {
            read.pop_front();
        }
        read.push_back(reading.prompt_key);
        0
    }
}

// === impl Running ===

impl<'a> Running<'a> {
    fn new(running: &'a AtomicU32) -> Self {
        running.fetch_add(1, Ordering::Relaxed);
        Self(running)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
