//! Tokenizer files: `tokenizer.json`, or the vocabulary files that came before it.

use sensorium_checkpoint::{added_token, clip_tokenizer};
use serde::Deserialize;
use serde_json::{Value, json};
use tokenizers::Tokenizer;

use crate::{checkpoint::ModelDir, error::LoadError};

/// The tokenizer as the tokenizers library saves it.
pub(super) const TOKENIZER: &str = "tokenizer.json";
/// Its settings as transformers saves them.
pub(super) const CONFIG: &str = "tokenizer_config.json";

/// Which older files to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenizerFamily {
    /// vocab.json and merges.txt: CLIP's byte-level BPE.
    Clip,
    /// vocab.txt: BERT's WordPiece.
    Bert,
    /// None: `tokenizer.json` only.
    Json,
}

/// `tokenizer_config.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TokenizerConfig {
    pub(super) tokenizer_class: Option<String>,
    pub(super) do_lower_case: Option<bool>,
    model_max_length: Option<f64>,
    padding_side: Option<String>,
    truncation_side: Option<String>,
    pad_token: Option<TokenName>,
    tokenize_chinese_chars: Option<bool>,
    strip_accents: Option<bool>,
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

    /// True if the class lower-cases whatever tokenizer.json says.
    pub(super) fn lowercases(&self) -> bool {
        self.is_siglip2()
    }

    /// Which side is padded; `json` is what tokenizer.json says.
    pub(super) fn pads_left(&self, json: Option<bool>) -> bool {
        match self.padding_side.as_deref() {
            Some(side) => side == "left",
            None => json.unwrap_or(self.is_siglip2()),
        }
    }

    /// Which side is cut off; `json` is what tokenizer.json says.
    pub(super) fn cuts_left(&self, json: Option<bool>) -> bool {
        match self.truncation_side.as_deref() {
            Some(side) => side == "left",
            None => json.unwrap_or(false),
        }
    }

    fn is_siglip2(&self) -> bool {
        self.tokenizer_class
            .as_deref()
            .is_some_and(|class| class.starts_with("Siglip2Tokenizer"))
    }
}

/// Reads the tokenizer.
pub(super) fn load(dir: &ModelDir, family: TokenizerFamily, config: &TokenizerConfig) -> Result<Tokenizer, LoadError> {
    if let Some(bytes) = dir.read(TOKENIZER)? {
        return Tokenizer::from_bytes(bytes).map_err(|error| LoadError::file(dir.label(TOKENIZER), error));
    }
    let (file, tokenizer) = match family {
        TokenizerFamily::Clip => ("vocab.json", clip_tokenizer(dir)?),
        TokenizerFamily::Bert => ("vocab.txt", bert(dir, config)?),
        TokenizerFamily::Json => (TOKENIZER, None),
    };
    let Some(tokenizer) = tokenizer else {
        return Err(LoadError::file(
            dir.label(TOKENIZER),
            "is missing; make it once with transformers: AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)",
        ));
    };
    let bytes = tokenizer.to_string();
    Tokenizer::from_bytes(bytes).map_err(|error| LoadError::file(dir.label(file), error))
}

/// BERT's tokenizer as a `tokenizer.json`, from vocab.txt.
fn bert(dir: &ModelDir, config: &TokenizerConfig) -> Result<Option<Value>, LoadError> {
    const FILE: &str = "vocab.txt";
    let Some(bytes) = dir.read(FILE)? else { return Ok(None) };
    let text = String::from_utf8(bytes).map_err(|error| LoadError::file(dir.label(FILE), error))?;
    let vocabulary: serde_json::Map<String, Value> = text
        .lines()
        .enumerate()
        .map(|(id, token)| (token.to_owned(), Value::from(id)))
        .collect();
    let special = |token: &str| {
        let id = vocabulary.get(token).and_then(Value::as_u64);
        id.ok_or_else(|| LoadError::file(dir.label(FILE), format!("has no token {token}")))
    };
    let (start, end) = (special("[CLS]")?, special("[SEP]")?);
    let present = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    let added: Vec<Value> = present
        .iter()
        .filter_map(|token| Some(added_token(vocabulary.get(*token)?.as_u64()?, token)))
        .collect();
    Ok(Some(json!({
        "version": "1.0",
        "added_tokens": added,
        "normalizer": {"type": "BertNormalizer", "clean_text": true,
            "handle_chinese_chars": config.tokenize_chinese_chars.unwrap_or(true),
            "strip_accents": config.strip_accents, "lowercase": config.do_lower_case.unwrap_or(true)},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", end], "cls": ["[CLS]", start]},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocabulary},
    })))
}
