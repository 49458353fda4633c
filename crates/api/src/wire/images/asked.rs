//! What is asked of the model: how many, how large, and diffusion's own knobs.

use std::ops::RangeInclusive;

use sensorium_engine::{ImageParameter, LoraWeight};
use serde_json::Value;

use crate::config::Limits;
use crate::error::ApiError;
use crate::wire::fields::{Fields, kind_of};
use crate::wire::input::check_text;
use crate::wire::object::Object;
use crate::wire::sampling::out_of_range;

/// What is asked of the model. What isn't is the model's to say.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Asked {
    /// Images that are wanted.
    pub(crate) n: u32,
    /// Images that are made, of which the best `n` are handed out; at least `n`.
    pub(crate) best_of: Option<u32>,
    /// Width and height in pixels; `None`: as it suits the model and the image.
    pub(crate) size: Option<(u32, u32)>,
    pub(crate) seed: Option<u64>,
    pub(crate) steps: Option<u32>,
    pub(crate) guidance_scale: Option<f32>,
    pub(crate) negative_prompt: Option<String>,
    pub(crate) scheduler: Option<String>,
    /// Over 0 to 1.
    pub(crate) strength: Option<f32>,
    pub(crate) loras: Vec<LoraWeight>,
    /// Long prompts: cut them, or refuse them; `None`: as the registry says.
    pub(crate) truncate: Option<bool>,
}

/// Most images of one request, as OpenAI has it.
const MOST_IMAGES: u64 = 10;

/// Most images to choose from.
const MOST_CANDIDATES: u64 = 64;

/// No side is longer.
const LONGEST_SIDE: u32 = 16_384;

/// Least number of an open range that begins at 0.
const LEAST: f64 = f64::MIN_POSITIVE;

/// Most LoRAs of one request.
const MOST_LORAS: usize = 16;

// === impl Asked ===

impl Asked {
    /// Takes what all routes share.
    ///
    /// # Errors
    /// Naming the first field that is wrong.
    pub(crate) fn take(fields: &mut Fields, limits: &Limits) -> Result<Self, ApiError> {
        let n = take_whole(fields, "n", 1..=MOST_IMAGES)?.unwrap_or(1) as u32;
        let best_of = take_whole(fields, "best_of", 1..=MOST_CANDIDATES)?.map(|k| k as u32);
        if best_of.is_some_and(|k| k < n) {
            return Err(ApiError::invalid("best_of", format!("best_of must be at least n, {n}")));
        }
        let guidance_scale = take_number(fields, "guidance_scale", 0.0..=100.0)?;
        let strength = take_number(fields, "strength", LEAST..=1.0)?;
        Ok(Self {
            n,
            best_of,
            size: take_size(fields)?,
            seed: take_whole(fields, "seed", 0..=u64::MAX)?,
            steps: take_whole(fields, "steps", 1..=10_000)?.map(|steps| steps as u32),
            guidance_scale: guidance_scale.map(|scale| scale as f32),
            negative_prompt: take_text(fields, "negative_prompt", limits)?,
            scheduler: take_text(fields, "scheduler", limits)?,
            strength: strength.map(|strength| (strength as f32).max(f32::MIN_POSITIVE)),
            loras: take_loras(fields)?,
            truncate: fields.optional("truncate")?,
        })
    }

    /// Images that are made.
    pub(crate) fn candidates(&self) -> u32 {
        self.best_of.unwrap_or(self.n)
    }

    /// What the model must honour, and what the client called it.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = (ImageParameter, &'static str)> {
        [
            (
                self.negative_prompt.is_some(),
                ImageParameter::NegativePrompt,
                "negative_prompt",
            ),
            (
                self.guidance_scale.is_some(),
                ImageParameter::GuidanceScale,
                "guidance_scale",
            ),
            (self.seed.is_some(), ImageParameter::Seed, "seed"),
            (self.scheduler.is_some(), ImageParameter::Scheduler, "scheduler"),
            (self.strength.is_some(), ImageParameter::Strength, "strength"),
            (!self.loras.is_empty(), ImageParameter::Lora, "loras"),
        ]
        .into_iter()
        .filter_map(|(wanted, parameter, name)| wanted.then_some((parameter, name)))
    }
}

/// Takes a whole number.
///
/// # Errors
/// If it is none, or out of range.
pub(super) fn take_whole(
    fields: &mut Fields,
    name: &'static str,
    range: RangeInclusive<u64>,
) -> Result<Option<u64>, ApiError> {
    let Some(value) = fields.take(name) else {
        return Ok(None);
    };
    match value.as_u64() {
        Some(number) if range.contains(&number) => Ok(Some(number)),
        _ => {
            let words = format!("a whole number from {} to {}", range.start(), range.end());
            Err(out_of_range(name, &value, &words))
        }
    }
}

/// Takes a number.
///
/// # Errors
/// If it is none, or out of range.
pub(super) fn take_number(
    fields: &mut Fields,
    name: &'static str,
    range: RangeInclusive<f64>,
) -> Result<Option<f64>, ApiError> {
    let Some(value) = fields.take(name) else {
        return Ok(None);
    };
    match value.as_f64() {
        Some(number) if range.contains(&number) => Ok(Some(number)),
        _ => {
            let (from, to) = (range.start(), range.end());
            let words = if *from == LEAST {
                format!("a number over 0 and at most {to}")
            } else {
                format!("a number from {from} to {to}")
            };
            Err(out_of_range(name, &value, &words))
        }
    }
}

/// Takes a text; an empty one says nothing.
fn take_text(fields: &mut Fields, name: &'static str, limits: &Limits) -> Result<Option<String>, ApiError> {
    let text = fields.optional::<String>(name)?.filter(|text| !text.is_empty());
    if let Some(text) = &text {
        check_text(name, text, limits)?;
    }
    Ok(text)
}

fn take_size(fields: &mut Fields) -> Result<Option<(u32, u32)>, ApiError> {
    let Some(size) = fields.optional::<String>("size")? else {
        return Ok(None);
    };
    if size == "auto" {
        return Ok(None);
    }
    let side = |text: &str| {
        let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let side = text.parse().ok().filter(|side| (1..=LONGEST_SIDE).contains(side));
        side.filter(|_| plain)
    };
    let sides = size
        .split_once('x')
        .and_then(|(width, height)| Some((side(width)?, side(height)?)));
    match sides {
        Some(sides) => Ok(Some(sides)),
        None => {
            let words = format!("'auto' or WIDTHxHEIGHT, as 512x512, each from 1 to {LONGEST_SIDE}");
            Err(out_of_range("size", &size, &words))
        }
    }
}

/// `[{"name", "weight"}]`, names alone, or `{name: weight}`.
fn take_loras(fields: &mut Fields) -> Result<Vec<LoraWeight>, ApiError> {
    let mut loras: Vec<LoraWeight> = Vec::new();
    let list = match fields.take("loras") {
        None => return Ok(loras),
        Some(Value::Array(list)) => list.into_iter().enumerate().collect::<Vec<_>>(),
        Some(Value::Object(map)) => {
            let each = map
                .into_iter()
                .map(|(name, weight)| serde_json::json!({"name": name, "weight": weight}));
            each.enumerate().collect()
        }
        Some(other) => {
            let message = format!("loras must be a list, not {}", kind_of(&other));
            return Err(ApiError::invalid("loras", message));
        }
    };
    if list.len() > MOST_LORAS {
        let message = format!("loras has {} entries; at most {MOST_LORAS}", list.len());
        return Err(ApiError::invalid("loras", message));
    }
    for (index, value) in list {
        let lora = lora(fields, format!("loras[{index}]"), value)?;
        if loras.iter().any(|other| other.name == lora.name) {
            let message = format!("loras[{index}] has the same name as another");
            return Err(ApiError::invalid(format!("loras[{index}]"), message));
        }
        loras.push(lora);
    }
    Ok(loras)
}

fn lora(fields: &mut Fields, at: String, value: Value) -> Result<LoraWeight, ApiError> {
    if let Value::String(name) = value {
        return Ok(LoraWeight { name, weight: 1.0 });
    }
    let mut object = Object::new(at, value)?;
    let name = object.required_string("name")?;
    let weight = match object.take("weight") {
        None => 1.0,
        Some(value) => match value.as_f64() {
            Some(weight) if weight.abs() <= 100.0 => weight as f32,
            _ => return Err(object.bad("weight", "must be a number from -100 to 100")),
        },
    };
    object.finish("loras[]", fields);
    Ok(LoraWeight { name, weight })
}
