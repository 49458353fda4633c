//! The plugin's own options in the registry: raw as written, and validated.

use schemars::JsonSchema;
use sensorium_contract::Matryoshka;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{error::LoadError, sentence::PoolingMode};

/// Items in one call unless `max_batch` says otherwise.
const DEFAULT_MAX_BATCH: u32 = 64;

/// `[model.options]` of a registry entry.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RawOptions {
    /// Most items in one call; 64 by default.
    #[schemars(range(min = 1, max = 4096))]
    max_batch: Option<u32>,
    /// Longest text in tokens, special tokens included; by default what the model's files say.
    #[schemars(range(min = 3))]
    max_length: Option<u32>,
    /// Which shorter vectors may be asked for: `true` for any, or a list of lengths; by default what the model's
    /// config.json says (`matryoshka_dimensions`, `is_matryoshka`).
    matryoshka: Option<MatryoshkaOption>,
    /// How a text embedder's token vectors become one; by default what 1_Pooling/config.json says, else `mean`.
    pooling: Option<PoolingMode>,
    /// Put before every text ("query: "); by default the default prompt of config_sentence_transformers.json.
    /// Token ids are left as they are.
    prompt: Option<String>,
}

/// `true`, `false` or a list of lengths.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum MatryoshkaOption {
    /// Any length, or none but the full width.
    Any(bool),
    /// These lengths.
    Dimensions(Vec<u32>),
}

/// Options that have been checked.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Most items in one call, at least 1.
    pub(crate) max_batch: u32,
    /// Longest text in tokens; `None`: the model's own.
    pub(crate) max_length: Option<usize>,
    /// `None`: what the model's files say.
    pub(crate) matryoshka: Option<MatryoshkaOption>,
    /// `None`: what the model's files say.
    pub(crate) pooling: Option<PoolingMode>,
    /// `None`: what the model's files say.
    pub(crate) prompt: Option<String>,
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
        let max_batch = raw.max_batch.unwrap_or(DEFAULT_MAX_BATCH);
        if !(1..=4096).contains(&max_batch) {
            return Err(LoadError::Request(format!(
                "options: max_batch is {max_batch}; use 1 to 4096"
            )));
        }
        if let Some(length @ 0..3) = raw.max_length {
            return Err(LoadError::Request(format!(
                "options: max_length is {length}; use at least 3"
            )));
        }
        Ok(Self {
            max_batch,
            max_length: raw.max_length.map(|length| length as usize),
            matryoshka: raw.matryoshka,
            pooling: raw.pooling,
            prompt: raw.prompt,
        })
    }
}

// === impl MatryoshkaOption ===

impl MatryoshkaOption {
    /// What it means for vectors of `width` numbers.
    ///
    /// # Errors
    /// What is wrong with a length that is 0 or more than the width.
    pub(crate) fn resolve(&self, width: u32) -> Result<Option<Matryoshka>, String> {
        match self {
            Self::Any(false) => Ok(None),
            Self::Any(true) => Ok(Some(Matryoshka { dimensions: Vec::new() })),
            Self::Dimensions(dimensions) => {
                if let Some(bad) = dimensions.iter().find(|dimension| !(1..=width).contains(*dimension)) {
                    return Err(format!(
                        "matryoshka lists {bad}; the model's vectors have {width} numbers"
                    ));
                }
                let mut dimensions = dimensions.clone();
                dimensions.sort_unstable();
                dimensions.dedup();
                Ok((!dimensions.is_empty()).then_some(Matryoshka { dimensions }))
            }
        }
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
        assert_eq!(parse("{}").expect("no options are fine").max_batch, 64);
        for (json, part) in [
            (r#"{"max_batch": 0}"#, "max_batch is 0"),
            (r#"{"max_batch": 5000}"#, "max_batch is 5000"),
            (r#"{"max_length": 2}"#, "max_length is 2"),
            (r#"{"pool": "mean"}"#, "unknown field `pool`"),
            (r#"{"pooling": "median"}"#, "unknown variant `median`"),
        ] {
            let message = parse(json).expect_err(json).to_string();
            assert!(message.contains(part), "{json}: {message}");
        }
    }

    #[test]
    fn matryoshka_lengths_fit_the_width() {
        let list = |dimensions: &[u32]| MatryoshkaOption::Dimensions(dimensions.to_vec());
        assert_eq!(
            list(&[64, 32, 64]).resolve(64),
            Ok(Some(Matryoshka {
                dimensions: vec![32, 64]
            }))
        );
        assert_eq!(
            MatryoshkaOption::Any(true).resolve(64),
            Ok(Some(Matryoshka { dimensions: vec![] }))
        );
        assert_eq!(MatryoshkaOption::Any(false).resolve(64), Ok(None));
        assert!(list(&[65]).resolve(64).is_err());
        assert!(list(&[0]).resolve(64).is_err());
    }
}
