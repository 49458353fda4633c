//! Tokenizer files: `tokenizer.json`, or the vocabulary files that came before it.

use sensorium_checkpoint::clip_tokenizer;
use serde::Deserialize;
use tokenizers::Tokenizer;

use crate::{checkpoint::ModelDir, error::LoadError};

/// The tokenizer as the tokenizers library saves it.
pub(super) const TOKENIZER: &str = "tokenizer.json";
/// Its settings as transformers saves them.
pub(super) const CONFIG: &str = "tokenizer_config.json";
/// Where older versions of transformers save special tokens.
const SPECIAL: &str = "special_tokens_map.json";

/// `tokenizer_config.json`, and what it leaves to `special_tokens_map.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TokenizerConfig {
    model_max_length: Option<f64>,
    pad_token: Option<TokenName>,
}

/// `"<pad>"` or `{"content": "<pad>", …}`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum TokenName {
    Plain(String),
    Added { content: String },
}

// === impl TokenizerConfig ===

impl TokenizerConfig {
    pub(super) fn load(dir: &ModelDir) -> Result<Self, LoadError> {
        let mut config: Self = dir.json(CONFIG)?.unwrap_or_default();
        if config.pad_token.is_none() {
            let special: Option<Self> = dir.json(SPECIAL)?;
            config.pad_token = special.and_then(|special| special.pad_token);
        }
        Ok(config)
    }

    /// `None` if absent, or the 10³⁰ that stands for no limit.
    pub(super) fn model_max_length(&self) -> Option<usize> {
        self.model_max_length
            .filter(|length| (1.0..1e9).contains(length))
            .map(|length| length as usize)
    }

    /// The padding token's text.
    pub(super) fn pad_token(&self) -> Option<&str> {
        self.pad_token
            .as_ref()
            .map(|(TokenName::Plain(content) | TokenName::Added { content })| content.as_str())
    }
}

/// Reads the tokenizer.
pub(super) fn load(dir: &ModelDir) -> Result<Tokenizer, LoadError> {
    if let Some(bytes) = dir.read(TOKENIZER)? {
        return Tokenizer::from_bytes(bytes).map_err(|error| LoadError::file(dir.label(TOKENIZER), error));
    }
    let Some(tokenizer) = clip_tokenizer(dir)? else {
        return Err(LoadError::file(
            dir.label(TOKENIZER),
            "is missing, and so are vocab.json and merges.txt",
        ));
    };
    Tokenizer::from_bytes(tokenizer.to_string()).map_err(|error| LoadError::file(dir.label("vocab.json"), error))
}
