//! The plugin's own options in the registry: raw as written, and validated.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::LoadError;

/// Sequences under way at once unless `max_sequences` says otherwise.
const DEFAULT_MAX_SEQUENCES: u32 = 32;

/// Images in one conversation unless `max_images` says otherwise.
const DEFAULT_MAX_IMAGES: u32 = 16;

/// Whether prompts share keys and values unless `prefix_cache` says otherwise.
const DEFAULT_PREFIX_CACHE: u32 = 16;

/// `[model.options]` of a registry entry.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RawOptions {
    /// Quantise the weights while loading: "q8_0", "q4k", "q6k", or a number of bits ("4", "8"). By default they stay
    /// as they are.
    isq: Option<String>,
    /// Most requests under way at once; 32 by default. The others wait in the host. On a CPU one of them is computed at
    /// a time.
    #[schemars(range(min = 1, max = 512))]
    max_sequences: Option<u32>,
    /// Prompt and reply together, in tokens; by default what the model's files say, and never more.
    #[schemars(range(min = 16))]
    context_length: Option<u32>,
    /// GPU only: 0 lets no prompt reuse the keys and values of one that began likewise. 16 by default.
    #[schemars(range(max = 1024))]
    prefix_cache: Option<u32>,
    /// Most images in one conversation; 16 by default.
    #[schemars(range(min = 1, max = 256))]
    max_images: Option<u32>,
    /// Models that read images in any size: scale larger ones down to this many pixels; by default what the model's
    /// files say, and never more.
    #[schemars(range(min = 1024))]
    max_image_pixels: Option<u64>,
    /// GPU only: tokens for which keys and values have room, all requests together; 65536 by default.
    #[schemars(range(min = 256))]
    kv_tokens: Option<u32>,
    /// The GGUF file within the model's directory; by default the only one there.
    gguf: Option<String>,
}

/// Options that have been checked.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// As written; checked against the device later.
    pub(crate) isq: Option<String>,
    /// At least 1.
    pub(crate) max_sequences: u32,
    /// `None`: the model's own.
    pub(crate) context_length: Option<u32>,
    /// 0: none.
    pub(crate) prefix_cache: u32,
    /// At least 1.
    pub(crate) max_images: u32,
    /// `None`: the model's own.
    pub(crate) max_image_pixels: Option<u64>,
    /// `None`: by default.
    pub(crate) kv_tokens: Option<u32>,
    /// `None`: the only one there.
    pub(crate) gguf: Option<String>,
}

// === impl RawOptions ===

impl RawOptions {
    /// JSON Schema of the options.
    pub(crate) fn schema() -> Value {
        schemars::schema_for!(Self).to_value()
    }
}

// === impl Options ===

impl Options {
    /// Checks what the registry says.
    ///
    /// # Errors
    /// [`LoadError::Request`] for unknown keys and values out of range.
    pub(crate) fn parse(options: &Map<String, Value>) -> Result<Self, LoadError> {
        let raw: RawOptions = serde_json::from_value(Value::Object(options.clone()))
            .map_err(|error| LoadError::Request(format!("options: {error}")))?;
        Ok(Self {
            isq: raw.isq,
            max_sequences: in_range("max_sequences", raw.max_sequences, 1, 512)?.unwrap_or(DEFAULT_MAX_SEQUENCES),
            context_length: in_range("context_length", raw.context_length, 16, u32::MAX)?,
            prefix_cache: in_range("prefix_cache", raw.prefix_cache, 0, 1024)?.unwrap_or(DEFAULT_PREFIX_CACHE),
            max_images: in_range("max_images", raw.max_images, 1, 256)?.unwrap_or(DEFAULT_MAX_IMAGES),
            max_image_pixels: in_range("max_image_pixels", raw.max_image_pixels, 1024, u64::MAX)?,
            kv_tokens: in_range("kv_tokens", raw.kv_tokens, 256, u32::MAX)?,
            gguf: raw.gguf,
        })
    }
}

fn in_range<T: Ord + Copy + std::fmt::Display>(
    name: &str,
    value: Option<T>,
    min: T,
    max: T,
) -> Result<Option<T>, LoadError> {
    match value {
        Some(value) if value < min || value > max => Err(LoadError::Request(format!(
            "options: {name} is {value}; use {min} to {max}"
        ))),
        value => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Options, LoadError> {
        Options::parse(&serde_json::from_str(json).expect("valid JSON"))
    }

    #[test]
    fn defaults_and_bounds() {
        let options = parse("{}").expect("no options are fine");
        assert_eq!((options.max_sequences, options.max_images), (32, 16));
        for (json, part) in [
            (r#"{"max_sequences": 0}"#, "max_sequences is 0; use 1 to 512"),
            (r#"{"context_length": 3}"#, "context_length is 3"),
            (r#"{"max_images": 300}"#, "max_images is 300"),
            (r#"{"quant": "q4k"}"#, "unknown field `quant`"),
            (r#"{"isq": 4}"#, "invalid type"),
        ] {
            let message = parse(json).expect_err(json).to_string();
            assert!(message.contains(part), "{json}: {message}");
        }
    }
}
