//! A model that chats without weights: what it says follows from a hash of what it was asked.
//!
//! Equal requests have equal replies; decoded greedily they depend on nothing but the prompt, else also on the
//! seed and on how tokens are chosen. It names the sizes of the images that it sees, then says words; or repeats the
//! user ([`Says::Echo`](options::Says)); or gives the smallest value that follows a schema; or calls the tools that
//! the user speaks of. See [`order`] for what a prompt may tell it to do.

mod options;
mod order;
mod prompt;
mod schema;
mod script;
mod words;
mod writer;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sensorium_contract::{
    Chat, ChatDelta, ChatEvent, ChatFinished, ChatRefused, ChatReply, ChatRequest, FinishReason, Gone, PluginError,
    RefusalCode,
};

pub(crate) use self::options::ChatOptions;
use self::order::{Order, What};
use self::prompt::{Reading, said};
use self::script::Script;
use self::writer::Writer;
use crate::misbehaviour::Misbehaviour;

/// Prompts that it remembers having read.
const REMEMBERED: usize = 64;

/// A model that chats.
pub(crate) struct ChatModel {
    shared: Arc<Shared>,
}

struct Shared {
    options: ChatOptions,
    allow_misbehaviour: bool,
    /// Calls that may be under way.
    places: u32,
    running: AtomicU32,
    /// Every call fails from now on.
    poisoned: AtomicBool,
    /// No call makes headway from now on.
    hung: AtomicBool,
    /// The model is gone.
    gone: AtomicBool,
    hoard: Mutex<Vec<Vec<u8>>>,
    /// The prompts that were read last.
    read: Mutex<VecDeque<u64>>,
}

/// Why a reply ends before it is whole.
enum End {
    Gone,
    /// Without a word to anybody.
    Dropped,
    Refused(ChatRefused),
    Failed(PluginError),
}

/// Counts a call as running until it is dropped.
struct Running<'a>(&'a AtomicU32);

// === impl ChatModel ===

impl ChatModel {
    /// A model that says it takes so many calls at once.
    pub(crate) fn new(options: ChatOptions, places: u32, allow_misbehaviour: bool) -> Self {
        let shared = Shared {
            options,
            allow_misbehaviour,
            places,
            running: AtomicU32::new(0),
            poisoned: AtomicBool::new(false),
            hung: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            hoard: Mutex::default(),
            read: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }
}

impl Drop for ChatModel {
    /// Replies end with their model, as those of an engine would.
    fn drop(&mut self) {
        self.shared.gone.store(true, Ordering::Relaxed);
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
        let order = Order::from_text(&said(request)).filter(|_| self.allow_misbehaviour);
        self.obey(order.as_ref(), None, reply).await?;
        self.work(self.options.prompt_latency, reply).await?;
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
            self.obey(order, Some(tokens), reply).await?;
            if tokens == room {
                break FinishReason::Length;
            }
            self.work(self.options.token_latency, reply).await?;
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

    /// Does what it has been told to do at this moment.
    async fn obey(&self, order: Option<&Order>, now: Option<u32>, reply: &ChatReply) -> Result<(), End> {
        if self.poisoned.load(Ordering::Relaxed) {
            return Err(End::Failed(PluginError::instance("poisoned, as told")));
        }
        let Some(order) = order.filter(|order| order.at == now) else {
            return Ok(());
        };
        match &order.what {
            What::Say(_) => Ok(()),
            What::Drop => Err(End::Dropped),
            What::Refuse(code) => Err(End::Refused(told_to_refuse(*code))),
            What::Misbehave(Misbehaviour::Item(_)) => Err(End::Refused(told_to_refuse(RefusalCode::InvalidInput))),
            What::Misbehave(Misbehaviour::Sleep(duration)) => self.work(*duration, reply).await,
            What::Misbehave(Misbehaviour::Hang) => {
                self.hung.store(true, Ordering::Relaxed);
                self.work(Duration::ZERO, reply).await
            }
            What::Misbehave(Misbehaviour::Poison) => {
                self.poisoned.store(true, Ordering::Relaxed);
                Err(End::Failed(PluginError::instance("poisoned, as told")))
            }
            What::Misbehave(other) => {
                let mut hoard = self.hoard.lock().unwrap_or_else(PoisonError::into_inner);
                other.act(&Default::default(), &mut hoard).map_err(End::Failed)
            }
        }
    }

    /// Takes so long, but no longer than somebody waits for the reply; for ever if it hangs.
    async fn work(&self, duration: Duration, reply: &ChatReply) -> Result<(), End> {
        if self.hung.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        if self.gone.load(Ordering::Relaxed) {
            return Err(End::Dropped);
        }
        if duration.is_zero() {
            // Others get their turn, and a reply that nobody waits for ends.
            tokio::task::yield_now().await;
            return if reply.is_cancelled() { Err(End::Gone) } else { Ok(()) };
        }
        tokio::select! {
            () = tokio::time::sleep(duration) => Ok(()),
            () = reply.cancelled() => Err(End::Gone),
        }
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

fn told_to_refuse(code: RefusalCode) -> ChatRefused {
    ChatRefused {
        code,
        message: "told to refuse".into(),
        field: "conversation.messages[0]".into(),
    }
}

// === impl End ===

impl From<Gone> for End {
    fn from(_: Gone) -> Self {
        End::Gone
    }
}

impl From<ChatRefused> for End {
    fn from(refused: ChatRefused) -> Self {
        End::Refused(refused)
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
