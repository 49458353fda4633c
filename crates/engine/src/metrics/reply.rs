//! How fast a reply comes, and what it is made of, in tokens.

use std::time::Instant;

use prometheus::{Histogram, IntCounter};
use sensorium_contract::{ChatEvent, ChatFinished, ChatStarted};

use super::families::Families;
use super::labels::ModelLabel;
use crate::queue::Streamed;

/// Most tokens of one event that are measured one by one; none of ours brings more.
const MEASURED: u32 = 64;

/// Measures one reply while it is made.
pub(crate) trait Meter<E: Streamed>: Send {
    /// The prompt has been read.
    fn started(&mut self, started: E::Started);

    /// An event has come from the model.
    fn see(&mut self, event: &E);

    /// What comes next has waited for its reader: when it was made is not known.
    fn pause(&mut self);
}

/// Measures the reply of a chat.
#[derive(Debug)]
pub(crate) struct ChatMeter {
    first_token: Histogram,
    inter_token: Histogram,
    prompt_tokens: IntCounter,
    generated_tokens: IntCounter,
    cached_tokens: IntCounter,
    asked: Instant,
    last: Last,
    generated: u32,
}

/// When the last token came.
#[derive(Debug, Clone, Copy)]
enum Last {
    /// There has been none.
    None,
    At(Instant),
    /// Nobody looked: the reply waited for its reader.
    Unknown,
}

// === impl ChatMeter ===

impl ChatMeter {
    /// A meter of a reply that was asked for at `asked`.
    pub(super) fn new(families: &Families, label: &ModelLabel, asked: Instant) -> Self {
        let values = &label.values();
        Self {
            first_token: families.first_token_seconds.with_label_values(values),
            inter_token: families.inter_token_seconds.with_label_values(values),
            prompt_tokens: families.prompt_tokens.with_label_values(values),
            generated_tokens: families.generated_tokens.with_label_values(values),
            cached_tokens: families.cached_prompt_tokens.with_label_values(values),
            asked,
            last: Last::None,
            generated: 0,
        }
    }

    fn made(&mut self, tokens: u32) {
        let now = Instant::now();
        match self.last {
            Last::None => self.first_token.observe((now - self.asked).as_secs_f64()),
            Last::At(last) => {
                let each = (now - last).as_secs_f64() / f64::from(tokens.max(1));
                (0..tokens.min(MEASURED)).for_each(|_| self.inter_token.observe(each));
            }
            Last::Unknown => {}
        }
        self.last = Last::At(now);
        self.generated = self.generated.saturating_add(tokens);
        self.generated_tokens.inc_by(tokens.into());
    }

    fn finished(&self, finished: &ChatFinished) {
        let unseen = finished.completion_tokens.saturating_sub(self.generated);
        self.generated_tokens.inc_by(unseen.into());
        self.cached_tokens.inc_by(finished.cached_tokens.into());
    }
}

impl Meter<ChatEvent> for ChatMeter {
    fn started(&mut self, started: ChatStarted) {
        self.prompt_tokens.inc_by(started.prompt_tokens.into());
    }

    fn see(&mut self, event: &ChatEvent) {
        match event {
            ChatEvent::Delta(delta) if delta.tokens > 0 => self.made(delta.tokens),
            // Its tokens, if they were not in deltas, are counted at the end.
            ChatEvent::ToolCall(_) => self.made(0),
            ChatEvent::Finished(finished) => self.finished(finished),
            ChatEvent::Delta(_) | ChatEvent::Started(_) | ChatEvent::Refused(_) => {}
        }
    }

    fn pause(&mut self) {
        self.last = Last::Unknown;
    }
}
