//! A completion in chunks, as events.

use bytes::Bytes;
use sensorium_engine::ChatEvent;

use super::logprobs::{CompletionLogprobs, Offset};
use super::reply::{Completion, CompletionChoice, Style};
use crate::chat::choices::Step;
use crate::chat::events::Frames;
use crate::sse::data;
use crate::wire::stamp::Stamp;
use crate::wire::usage::Usage;

/// Makes chunks of what choices do.
#[derive(Debug)]
pub(crate) struct CompletionFrames {
    stamp: Stamp,
    include_usage: bool,
    style: Style,
    /// Where the next token of each choice begins.
    offsets: Vec<Offset>,
}

// === impl CompletionFrames ===

impl CompletionFrames {
    /// Chunks of a reply with `choices` choices.
    pub(crate) fn new(stamp: Stamp, choices: usize, include_usage: bool, style: Style) -> Self {
        Self {
            offsets: (0..choices)
                .map(|choice| Offset::behind(style.prompt_of(choice)))
                .collect(),
            stamp,
            include_usage,
            style,
        }
    }

    fn chunk(&self, choices: Vec<CompletionChoice>, usage: Option<Usage>) -> Bytes {
        data(&Completion {
            stamp: &self.stamp,
            choices,
            usage: self.include_usage.then_some(usage),
        })
    }
}

impl Frames for CompletionFrames {
    fn step(&mut self, index: usize, step: Step) -> Option<Bytes> {
        let mut choice = CompletionChoice {
            index,
            ..CompletionChoice::default()
        };
        match step {
            Step::Started(_) if self.style.echo.is_empty() => return None,
            Step::Started(_) => choice.text = self.style.prompt_of(index).to_owned(),
            Step::Event(ChatEvent::Delta(delta)) => {
                if delta.text.is_empty() && delta.logprobs.is_empty() {
                    return None;
                }
                choice.text = delta.text;
                if self.style.logprobs {
                    let offset = self.offsets.get_mut(index)?;
                    choice.logprobs = Some(CompletionLogprobs::of(delta.logprobs, offset));
                }
            }
            Step::Event(ChatEvent::Finished(finished)) => choice.finish_reason = Some(finished.into()),
            Step::Event(ChatEvent::ToolCall(_) | ChatEvent::Started(_) | ChatEvent::Refused(_)) => return None,
        }
        Some(self.chunk(vec![choice], None))
    }

    fn end(&mut self, usage: Usage) -> Option<Bytes> {
        self.include_usage.then(|| self.chunk(Vec::new(), Some(usage)))
    }
}

#[cfg(test)]
mod tests;
