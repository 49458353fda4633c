//! From chosen tokens to events.

use sensorium_contract::{Candidate, ChatDelta, ChatEvent, FinishReason, TokenLogprob};

use super::{End, Step};
use crate::{
    sampling::{Sampled, Verdict},
    text::{Aligner, Characters, Piece, Stops, Vocabulary},
    tools::{Callable, MARKERS, Parsed, ToolFormat, ToolStream},
};

/// What an assembler is made from.
pub(super) struct AssemblerParams {
    pub(super) vocabulary: Vocabulary,
    pub(super) stops: Vec<String>,
    /// Present if calls are looked for.
    pub(super) tools: Option<(&'static ToolFormat, Vec<Callable>)>,
    /// How many blanks at its start aren't part of it.
    pub(super) blanks: usize,
    /// Names the reply, for the ids of its calls.
    pub(super) name: Vec<u8>,
    pub(super) max_tokens: usize,
}

/// Puts a reply together: bytes to characters, calls out of the text, the text cut at stop strings, log probabilities
/// beside the text that they belong to.
pub(super) struct Assembler {
    vocabulary: Vocabulary,
    characters: Characters,
    tools: Option<ToolStream>,
    stops: Stops,
    aligner: Aligner,
    max_tokens: usize,
    tokens: u32,
    ended: bool,
}

// === impl Assembler ===

impl Assembler {
    pub(super) fn new(params: AssemblerParams) -> Self {
        let tools = params
            .tools
            .map(|(format, callables)| ToolStream::new(format, callables, params.name));
        Self {
            characters: Characters::new(params.vocabulary.strip() + params.blanks),
            vocabulary: params.vocabulary,
            tools,
            stops: Stops::new(params.stops),
            aligner: Aligner::default(),
            max_tokens: params.max_tokens,
            tokens: 0,
            ended: false,
        }
    }

    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    pub(super) fn tokens(&self) -> u32 {
        self.tokens
    }

    /// What the next token brings.
    pub(super) fn push(&mut self, sampled: Sampled) -> Step {
        if let Verdict::Fails(error) = sampled.verdict {
            self.ended = true;
            return Step {
                events: Vec::new(),
                end: Some(End::Failed(error)),
            };
        }
        self.tokens = self.tokens.saturating_add(1);
        let mut events = Events {
            deltas: vec![ChatEvent::Delta(ChatDelta {
                tokens: 1,
                ..ChatDelta::default()
            })],
        };
        if sampled.verdict != Verdict::Ends {
            self.spell(
                sampled.id,
                sampled.logprobs.map(|logprobs| self.logprob(sampled.id, &logprobs)),
                &mut events,
            );
        }
        let end = self.end(&sampled.verdict);
        if end.is_some() {
            self.flush(&mut events);
            self.ended = true;
        }
        // A stop string may come to light only with the last of the text.
        let end = if self.stops.stopped() {
            Some(FinishReason::Stop)
        } else {
            end
        }
        .map(|end| self.with_calls(end));
        self.ended |= end.is_some();
        Step {
            events: events.deltas,
            end: end.map(End::Finished),
        }
    }

    /// Why the reply ends with this token, if it does.
    fn end(&self, verdict: &Verdict) -> Option<FinishReason> {
        match verdict {
            _ if self.stops.stopped() => Some(FinishReason::Stop),
            Verdict::Ends | Verdict::Completes => Some(FinishReason::Stop),
            _ if self.tokens as usize >= self.max_tokens => Some(FinishReason::Length),
            Verdict::Continues | Verdict::Fails(_) => None,
        }
    }

    fn with_calls(&self, end: FinishReason) -> FinishReason {
        match end {
            FinishReason::Stop if self.tools.as_ref().is_some_and(|tools| tools.calls() > 0) => FinishReason::ToolCalls,
            end => end,
        }
    }

    /// Takes in what a token spells.
    fn spell(&mut self, id: u32, logprob: Option<TokenLogprob>, events: &mut Events) {
        let spelling = self.vocabulary.spelling(id);
        let shown = !self.vocabulary.is_hidden(id)
            || (self.tools.is_some() && MARKERS.iter().any(|marker| marker.as_bytes() == spelling));
        if !shown || spelling.is_empty() {
            return;
        }
        let before = self.characters.position();
        let piece = self.characters.push(spelling);
        if let Some(logprob) = logprob {
            self.aligner.push(before..self.characters.position(), logprob);
        }
        if let Some(piece) = piece {
            self.read(piece, events);
        }
    }

    /// The reply is over: what is held back comes out.
    fn flush(&mut self, events: &mut Events) {
        if let Some(piece) = self.characters.finish() {
            self.read(piece, events);
        }
        let parsed = self.tools.as_mut().map_or(Vec::new(), ToolStream::finish);
        self.take(parsed, events);
        if let Some(piece) = self.stops.finish() {
            self.show(&piece, events);
        }
    }

    fn read(&mut self, piece: Piece, events: &mut Events) {
        let parsed = match &mut self.tools {
            Some(tools) => tools.push(&piece),
            None => vec![Parsed::Text(piece)],
        };
        self.take(parsed, events);
    }

    fn take(&mut self, parsed: Vec<Parsed>, events: &mut Events) {
        for parsed in parsed {
            match parsed {
                Parsed::Text(piece) => {
                    for piece in self.stops.push(piece) {
                        self.show(&piece, events);
                    }
                }
                Parsed::Call(call) if !self.stops.stopped() => {
                    // A stop string doesn't reach across a call.
                    if let Some(piece) = self.stops.finish() {
                        self.show(&piece, events);
                    }
                    events.deltas.push(ChatEvent::ToolCall(call));
                }
                Parsed::Call(_) => {}
            }
        }
    }

    fn show(&mut self, piece: &Piece, events: &mut Events) {
        let logprobs = self.aligner.take(piece);
        let delta = events.delta();
        delta.text.push_str(&piece.text);
        delta.logprobs.extend(logprobs);
    }

    fn logprob(&self, id: u32, logprobs: &crate::sampling::Logprobs) -> TokenLogprob {
        let candidate = |id: u32, logprob: f32| Candidate {
            id,
            token: self.vocabulary.spelling(id).to_vec(),
            logprob,
        };
        TokenLogprob {
            chosen: candidate(id, logprobs.chosen),
            top: logprobs
                .top
                .iter()
                .map(|&(id, logprob)| candidate(id, logprob))
                .collect(),
        }
    }
}

/// The events of one step.
struct Events {
    deltas: Vec<ChatEvent>,
}

impl Events {
    /// The delta that text goes into: the last event, or a new one after a call.
    fn delta(&mut self) -> &mut ChatDelta {
        if !matches!(self.deltas.last(), Some(ChatEvent::Delta(_))) {
            self.deltas.push(ChatEvent::Delta(ChatDelta::default()));
        }
        match self.deltas.last_mut() {
            Some(ChatEvent::Delta(delta)) => delta,
            _ => unreachable!("a delta was put there just above"),
        }
    }
}
