//! How tokens are chosen and when a reply ends: the fields that chats and completions share.
//!
//! A value that means "off" (temperature 1, a penalty of 0, no biases) is as good as none. What is left is wanted of
//! the model, under the name that the client used for it, so that a model that doesn't honour it can be said to.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use sensorium_engine::{ChatParameter, ChatRequest, OutputFormat, Prompt, Sampling};
use serde_json::{Map, Value};

use super::fields::{Fields, kind_of};
use crate::config::Limits;
use crate::error::ApiError;

/// What is asked of each reply, whatever it replies to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    /// How tokens are chosen; the seed is the first choice's.
    pub(crate) sampling: Sampling,
    /// Most tokens of a reply.
    pub(crate) max_tokens: Option<u32>,
    /// Texts that end a reply.
    pub(crate) stop: Vec<String>,
    /// `Some` if log probabilities are wanted, and of how many tokens beside the chosen one.
    pub(crate) top_logprobs: Option<u32>,
    /// Replies to each prompt.
    pub(crate) n: u32,
    /// What the model must honour.
    pub(crate) wanted: Vec<Wanted>,
}

/// Something that a model must honour, and what the client called it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// What it is.
    pub(crate) parameter: ChatParameter,
    /// Where it was asked for: `top_p`, `messages[2].tool_calls`.
    pub(crate) at: Cow<'static, str>,
}

/// How the reply is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// As events, while it is made.
    pub(crate) stream: bool,
    /// With a last event that says what it took.
    pub(crate) include_usage: bool,
}

/// Longest stop string in bytes.
const LONGEST_STOP: usize = 1024;
/// Most tokens with a bias.
const MOST_BIASES: usize = 1024;
/// Most stop strings, as OpenAI has it.
const MOST_STOPS: usize = 4;

// === impl Asked ===

impl Asked {
    /// Takes what chats and completions share. Neither `logprobs` nor the number of tokens is taken: they differ.
    ///
    /// # Errors
    /// Naming the first field that is wrong.
    pub(crate) fn take(fields: &mut Fields, limits: &Limits) -> Result<Self, ApiError> {
        let mut asked = Self {
            sampling: Sampling::default(),
            max_tokens: None,
            stop: take_stop(fields)?,
            top_logprobs: None,
            n: take_n(fields, limits)?,
            wanted: Vec::new(),
        };
        use ChatParameter as P;
        let mut knob = |parameter, name, off, range| knob(fields, &mut asked.wanted, parameter, name, off, range);
        asked.sampling.temperature = knob(P::Temperature, "temperature", 1.0, 0.0..=2.0)?;
        asked.sampling.top_p = knob(P::TopP, "top_p", 1.0, LEAST..=1.0)?;
        asked.sampling.min_p = knob(P::MinP, "min_p", 0.0, 0.0..=1.0)?;
        asked.sampling.presence_penalty = knob(P::PresencePenalty, "presence_penalty", 0.0, -2.0..=2.0)?;
        asked.sampling.frequency_penalty = knob(P::FrequencyPenalty, "frequency_penalty", 0.0, -2.0..=2.0)?;
        asked.sampling.repetition_penalty = knob(P::RepetitionPenalty, "repetition_penalty", 1.0, LEAST..=10.0)?;
        asked.sampling.top_k = asked.take_top_k(fields)?;
        asked.sampling.seed = asked.take_seed(fields)?;
        asked.sampling.logit_bias = asked.take_logit_bias(fields)?;
        Ok(asked)
    }

    /// Notes that the model must honour something.
    pub(crate) fn want(&mut self, parameter: ChatParameter, at: impl Into<Cow<'static, str>>) {
        let at = at.into();
        self.wanted.push(Wanted { parameter, at });
    }

    /// One reply's request; each has a seed of its own.
    pub(crate) fn request(&self, prompt: Prompt, format: OutputFormat, choice: u32) -> ChatRequest {
        let mut sampling = self.sampling.clone();
        sampling.seed = sampling.seed.wrapping_add(u64::from(choice));
        ChatRequest {
            prompt,
            sampling,
            max_tokens: self.max_tokens,
            stop: self.stop.clone(),
            top_logprobs: self.top_logprobs,
            format,
        }
    }

    fn take_top_k(&mut self, fields: &mut Fields) -> Result<Option<u32>, ApiError> {
        match fields.optional::<i64>("top_k")? {
            // Both are in use for "all of them".
            None | Some(-1 | 0) => Ok(None),
            Some(k) => {
                self.want(ChatParameter::TopK, "top_k");
                let k = u32::try_from(k).map_err(|_| out_of_range("top_k", &k, "1 or more; 0 switches it off"))?;
                Ok(Some(k))
            }
        }
    }

    /// The client's seed, or one that nobody can guess.
    fn take_seed(&mut self, fields: &mut Fields) -> Result<u64, ApiError> {
        let Some(value) = fields.take("seed") else {
            return Ok(random_seed());
        };
        self.want(ChatParameter::Seed, "seed");
        match (value.as_i64(), value.as_u64()) {
            (Some(seed), _) => Ok(seed.cast_unsigned()),
            (None, Some(seed)) => Ok(seed),
            (None, None) => Err(ApiError::invalid("seed", "seed must be an integer of 64 bits")),
        }
    }

    fn take_logit_bias(&mut self, fields: &mut Fields) -> Result<BTreeMap<u32, f32>, ApiError> {
        let bad = |message: String| Err(ApiError::invalid("logit_bias", message));
        let map: Map<String, Value> = match fields.take("logit_bias") {
            None => return Ok(BTreeMap::new()),
            Some(Value::Object(map)) => map,
            Some(other) => return bad(format!("logit_bias must be an object, not {}", kind_of(&other))),
        };
        if map.len() > MOST_BIASES {
            return bad(format!("logit_bias has {} tokens; at most {MOST_BIASES}", map.len()));
        }
        let mut biases = BTreeMap::new();
        for (token, bias) in map {
            let shown: String = token.chars().take(20).collect();
            let Ok(id) = token.parse::<u32>() else {
                return bad(format!("logit_bias has the key '{shown}': keys are ids of tokens"));
            };
            match bias.as_f64() {
                Some(bias) if (-100.0..=100.0).contains(&bias) => biases.insert(id, bias as f32),
                _ => return bad(format!("the logit_bias of {shown} must be a number from -100 to 100")),
            };
        }
        biases.retain(|_, bias| *bias != 0.0);
        if !biases.is_empty() {
            self.want(ChatParameter::LogitBias, "logit_bias");
        }
        Ok(biases)
    }
}

// === impl Delivery ===

impl Delivery {
    /// Takes `stream` and `stream_options`.
    ///
    /// # Errors
    /// Naming the one that is wrong.
    pub(crate) fn take(fields: &mut Fields) -> Result<Self, ApiError> {
        let stream = fields.optional::<bool>("stream")?.unwrap_or(false);
        let mut include_usage = false;
        if let Some(value) = fields.take("stream_options") {
            if !stream {
                return Err(ApiError::invalid(
                    "stream_options",
                    "stream_options is allowed only with stream: true",
                ));
            }
            let mut options = super::object::Object::new("stream_options", value)?;
            include_usage = options.bool("include_usage")?.unwrap_or(false);
            options.finish("stream_options", fields);
        }
        Ok(Self { stream, include_usage })
    }
}

/// Takes a count of tokens.
///
/// # Errors
/// If it is not a whole number of at least 1.
pub(crate) fn take_tokens(fields: &mut Fields, name: &'static str) -> Result<Option<u32>, ApiError> {
    match fields.take(name) {
        None => Ok(None),
        Some(value) => match value.as_u64().and_then(|count| u32::try_from(count).ok()) {
            Some(count) if count > 0 => Ok(Some(count)),
            _ => Err(out_of_range(name, &value, "a whole number from 1 to 4294967295")),
        },
    }
}

/// Takes a count of log probabilities.
///
/// # Errors
/// If it is not a whole number up to `most`.
pub(crate) fn take_top(fields: &mut Fields, name: &'static str, most: u32) -> Result<Option<u32>, ApiError> {
    match fields.take(name) {
        None => Ok(None),
        Some(value) => match value.as_u64().and_then(|count| u32::try_from(count).ok()) {
            Some(count) if count <= most => Ok(Some(count)),
            _ => Err(out_of_range(name, &value, &format!("a whole number from 0 to {most}"))),
        },
    }
}

/// The least number that counts as more than nothing.
const LEAST: f64 = f32::MIN_POSITIVE as f64;

/// Takes a number; one that means "off" is not wanted of the model.
fn knob(
    fields: &mut Fields,
    wanted: &mut Vec<Wanted>,
    parameter: ChatParameter,
    name: &'static str,
    off: f64,
    range: RangeInclusive<f64>,
) -> Result<Option<f32>, ApiError> {
    let Some(value) = fields.optional::<f64>(name)? else {
        return Ok(None);
    };
    if !range.contains(&value) {
        let (from, to) = (range.start(), range.end());
        let words = if *from == LEAST {
            format!("over 0 and at most {to}")
        } else {
            format!("a number from {from} to {to}")
        };
        return Err(out_of_range(name, &value, &words));
    }
    if value == off {
        return Ok(None);
    }
    wanted.push(Wanted {
        parameter,
        at: Cow::Borrowed(name),
    });
    Ok(Some(value as f32))
}

fn take_n(fields: &mut Fields, limits: &Limits) -> Result<u32, ApiError> {
    match fields.take("n") {
        None => Ok(1),
        Some(value) => match value.as_u64().and_then(|n| u32::try_from(n).ok()) {
            Some(n) if (1..=limits.choices).contains(&n) => Ok(n),
            _ => {
                let words = format!("a whole number from 1 to {}", limits.choices);
                Err(out_of_range("n", &value, &words))
            }
        },
    }
}

fn take_stop(fields: &mut Fields) -> Result<Vec<String>, ApiError> {
    let stop = match fields.take("stop") {
        None => return Ok(Vec::new()),
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(list)) if list.len() <= MOST_STOPS => list
            .into_iter()
            .map(|text| text.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or_else(|| ApiError::invalid("stop", "stop must hold strings, nothing else"))?,
        Some(Value::Array(list)) => {
            let message = format!("stop has {} strings; at most {MOST_STOPS}", list.len());
            return Err(ApiError::invalid("stop", message));
        }
        Some(other) => {
            let message = format!("stop must be a string or an array of them, not {}", kind_of(&other));
            return Err(ApiError::invalid("stop", message));
        }
    };
    if stop.iter().any(|text| text.is_empty() || text.len() > LONGEST_STOP) {
        let message = format!("each string of stop has 1 to {LONGEST_STOP} bytes");
        return Err(ApiError::invalid("stop", message));
    }
    Ok(stop)
}

/// A parameter's value is not what it may be.
pub(super) fn out_of_range(name: &'static str, value: &impl ToString, range: &str) -> ApiError {
    let shown: String = value.to_string().chars().take(40).collect();
    ApiError::invalid(name, format!("{name} must be {range}, not {shown}"))
}

/// 122 of the bits of a random UUID, folded.
fn random_seed() -> u64 {
    let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
    high ^ low.rotate_left(32)
}

#[cfg(test)]
mod tests;
