//! Tokenizer files: `tokenizer.json`, or the vocabulary files that came before it.

use serde::Deserialize;
use serde_json::{Value, json};
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
    let Some(tokenizer) = clip(dir)? else {
        return Err(LoadError::file(
            dir.label(TOKENIZER),
            "is missing, and so are vocab.json and merges.txt",
        ));
    };
    Tokenizer::from_bytes(tokenizer.to_string()).map_err(|error| LoadError::file(dir.label("vocab.json"), error))
}

/// CLIP's tokenizer as a `tokenizer.json`, from vocab.json and merges.txt.
fn clip(dir: &ModelDir) -> Result<Option<Value>, LoadError> {
    let (Some(vocabulary), Some(merges)) = (dir.json::<Value>("vocab.json")?, dir.read("merges.txt")?) else {
        return Ok(None);
    };
    let merges = String::from_utf8(merges).map_err(|error| LoadError::file(dir.label("merges.txt"), error))?;
    let merges: Vec<&str> = merges
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("#version"))
        .collect();
    let special = |token: &str| {
        let id = vocabulary.get(token).and_then(Value::as_u64);
        id.ok_or_else(|| LoadError::file(dir.label("vocab.json"), format!("has no token {token}")))
    };
    let (start, end) = (special("<|startoftext|>")?, special("<|endoftext|>")?);
    let words = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";
    Ok(Some(json!({
        "version": "1.0",
        "added_tokens": [added_token(start, "<|startoftext|>"), added_token(end, "<|endoftext|>")],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "NFC"},
            {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
            {"type": "Lowercase"},
        ]},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": words}, "behavior": "Removed", "invert": true},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        ]},
        "post_processor": {"type": "RobertaProcessing", "sep": ["<|endoftext|>", end], "cls": ["<|startoftext|>", start],
            "trim_offsets": false, "add_prefix_space": false},
        "model": {"type": "BPE", "unk_token": "<|endoftext|>", "continuing_subword_prefix": "",
            "end_of_word_suffix": "</w>", "fuse_unk": false, "vocab": vocabulary, "merges": merges},
    })))
}

fn added_token(id: u64, content: &str) -> Value {
    json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
           "special": true})
}
