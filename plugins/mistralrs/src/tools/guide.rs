//! What keeps a reply to its grammar, token by token.

use llguidance::{Matcher, toktrie::SimpleVob};
use sensorium_contract::PluginError;

use super::stream::begins_call;
use crate::text::Vocabulary;

/// The tokens that may come next.
pub(crate) struct Mask(SimpleVob);

/// Keeps one reply to a grammar.
#[derive(Default)]
pub(crate) enum Guide {
    /// Anything may be said.
    #[default]
    Free,
    /// Everything follows the grammar.
    Always(Box<Matcher>),
    /// Nothing is asked of the reply until a call of a tool begins.
    Lazy(Box<Lazy>),
}

/// A reply that is free until a call begins in it.
pub(crate) struct Lazy {
    /// At the start of a grammar of which every reply with a call is a sentence.
    matcher: Matcher,
    trigger: Trigger,
    vocabulary: Vocabulary,
    /// The reply so far.
    tokens: Vec<u32>,
}

/// What begins a call.
#[derive(Debug, Clone)]
pub(crate) enum Trigger {
    /// This text, anywhere; with the end of the reply so far, which may be the start of it.
    Marker(&'static str, Vec<u8>),
    /// An object with a name, as the first thing in the reply; with the reply so far.
    Object(String),
}

// === impl Mask ===

impl Mask {
    /// `logits` with those of forbidden tokens at -inf, into `left`.
    pub(crate) fn copy_allowed(&self, logits: &[f32], left: &mut Vec<f32>) {
        left.clear();
        left.resize(logits.len(), f32::NEG_INFINITY);
        self.0.iter_set_entries(|id| {
            if let (Some(to), Some(&from)) = (left.get_mut(id), logits.get(id)) {
                *to = from;
            }
        });
    }

    /// The lowest token that is allowed.
    pub(crate) fn first(&self) -> Option<u32> {
        self.0.first_bit_set().map(|id| id as u32)
    }
}

// === impl Guide ===

impl Guide {
    /// Free until `trigger` comes.
    pub(crate) fn lazy(matcher: Matcher, trigger: Trigger, vocabulary: Vocabulary) -> Self {
        Self::Lazy(Box::new(Lazy {
            matcher,
            trigger,
            vocabulary,
            tokens: Vec::new(),
        }))
    }

    /// The tokens that may come next; `None`: any.
    ///
    /// # Errors
    /// The caller's: the grammar has become too complex to follow.
    pub(crate) fn mask(&mut self) -> Result<Option<Mask>, PluginError> {
        match self {
            Self::Always(matcher) => mask_of(matcher).map(Some),
            Self::Free | Self::Lazy(_) => Ok(None),
        }
    }

    /// `token` comes next, which isn't one that ends the reply. If it may not after all, the tokens that may.
    ///
    /// # Errors
    /// As for `mask`.
    pub(crate) fn accept(&mut self, token: u32) -> Result<Option<Mask>, PluginError> {
        match self {
            Self::Free => Ok(None),
            Self::Always(matcher) if matcher.is_stopped() => Ok(None),
            Self::Always(matcher) => matcher.consume_token(token).map(|()| None).map_err(astray),
            Self::Lazy(lazy) => {
                if !lazy.begins(token) {
                    return Ok(None);
                }
                let before = lazy.tokens.len() - 1;
                if let Some(matcher) = lazy.replay(lazy.tokens.len()) {
                    *self = Self::Always(Box::new(matcher));
                    Ok(None)
                } else if let Some(mut matcher) = lazy.replay(before) {
                    let mask = mask_of(&mut matcher)?;
                    *self = Self::Always(Box::new(matcher));
                    Ok(Some(mask))
                } else {
                    // What came before is no text to the grammar; the reply stays free.
                    *self = Self::Free;
                    Ok(None)
                }
            }
        }
    }

    /// True if nothing may follow.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self, Self::Always(matcher) if matcher.is_stopped() && matcher.stop_reason().is_ok())
    }
}

// === impl Lazy ===

impl Lazy {
    /// Notes `token`; true if a call has begun with it.
    fn begins(&mut self, token: u32) -> bool {
        self.tokens.push(token);
        self.trigger.push(self.vocabulary.spelling(token))
    }

    /// A matcher that has read the first `count` tokens of the reply, if they fit the grammar.
    fn replay(&self, count: usize) -> Option<Matcher> {
        let mut matcher = self.matcher.deep_clone();
        matcher.consume_tokens(&self.tokens[..count]).ok()?;
        (!matcher.is_error()).then_some(matcher)
    }
}

// === impl Trigger ===

impl Trigger {
    /// Notes what a token spells; true if that begins a call.
    fn push(&mut self, bytes: &[u8]) -> bool {
        match self {
            Self::Marker(marker, tail) => {
                tail.extend_from_slice(bytes);
                let found = tail.windows(marker.len()).any(|window| window == marker.as_bytes());
                let keep = tail.len().saturating_sub(marker.len() - 1);
                tail.drain(..keep);
                found
            }
            Self::Object(text) => {
                // What can't begin a call any more isn't kept.
                if text.len() < 64 {
                    text.push_str(&String::from_utf8_lossy(bytes));
                }
                let object = text.trim_start();
                let object = object
                    .strip_prefix(super::format::PYTHON_TAG)
                    .unwrap_or(object)
                    .trim_start();
                begins_call(object) == Some(true)
            }
        }
    }
}

fn mask_of(matcher: &mut Matcher) -> Result<Mask, PluginError> {
    matcher.compute_mask_or_eos().map(Mask).map_err(astray)
}

/// The work that a step may cost is bounded, and a grammar can need more.
fn astray(error: impl std::fmt::Display) -> PluginError {
    let text = error.to_string();
    let text = text.lines().next().unwrap_or_default();
    let text = &text[..text.floor_char_boundary(200)];
    PluginError::caller(format!(
        "the schema became too complex to follow; simplify its patterns and unions ({text})"
    ))
}
