//! Text and token ids to the ids that a model reads: special tokens added, cut to the context, padded where the model
//! was trained so.

mod canonical;
mod files;

pub(crate) use files::TokenizerFamily;

use sensorium_checkpoint::encode_head;
use sensorium_contract::{ItemError, ItemErrorCode};
use tokenizers::{Encoding, PaddingDirection, Token, Tokenizer, TruncationDirection, normalizers::NormalizerWrapper};

use crate::{checkpoint::ModelDir, error::LoadError};
use canonical::Canonical;
use files::TokenizerConfig;

/// What a model needs of its tokenizer.
#[derive(Debug, Clone)]
pub(crate) struct TokenizerNeeds {
    /// Which files to fall back to, and how.
    pub(crate) family: TokenizerFamily,
    /// Rows of the token embedding: ids must be lower.
    pub(crate) vocabulary: usize,
    /// Longest text in tokens that the model can read, special tokens included.
    pub(crate) positions: usize,
    /// A lower limit that the model's other files or the registry give.
    pub(crate) max_length: Option<usize>,
    /// Pad every text to the context, with this id if the tokenizer doesn't say.
    pub(crate) pad_id: Option<u32>,
    /// Lower-case the text first.
    pub(crate) lowercase: bool,
    /// Put before every text.
    pub(crate) prompt: String,
}

/// A model's tokenizer, ready for use.
pub(crate) struct TextTokenizer {
    inner: Tokenizer,
    /// Special tokens before and after every text.
    prefix: Vec<u32>,
    suffix: Vec<u32>,
    cut_left: bool,
    vocabulary: usize,
    context: usize,
    padding: Option<Padding>,
    canonical: Option<Canonical>,
    prompt: String,
}

struct Padding {
    id: u32,
    left: bool,
    length: usize,
}

/// A text as the model reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tokens {
    /// Special tokens and padding included.
    pub(crate) ids: Vec<u32>,
    /// Without padding.
    pub(crate) count: u32,
    /// True if the text was cut.
    pub(crate) truncated: bool,
}

// === impl TextTokenizer ===

impl TextTokenizer {
    /// Reads `tokenizer.json`, or the older files of its family, and `tokenizer_config.json`.
    ///
    /// # Errors
    /// If there are none, they make no sense, or the context leaves no room for a token.
    pub(crate) fn load(dir: &ModelDir, needs: TokenizerNeeds) -> Result<Self, LoadError> {
        let config: TokenizerConfig = dir.json(files::CONFIG)?.unwrap_or_default();
        let mut inner = files::load(dir, needs.family, &config)?;
        let fail = |error: tokenizers::Error| LoadError::file(dir.label(files::TOKENIZER), error);
        let truncation = inner.get_truncation().map(|truncation| truncation.direction);
        let padding = inner.get_padding().map(|padding| (padding.pad_id, padding.direction));
        inner.with_truncation(None).map_err(fail)?;
        inner.with_padding(None);
        if needs.lowercase || config.lowercases() {
            lowercase(&mut inner).map_err(fail)?;
        }
        let (prefix, suffix) = special_tokens(&inner).map_err(fail)?;
        let limits = [needs.max_length, config.model_max_length()];
        let longest = limits.into_iter().flatten().fold(needs.positions, usize::min);
        if longest <= prefix.len() + suffix.len() {
            return Err(LoadError::file(
                dir.label(files::CONFIG),
                format!(
                    "a text of {longest} tokens has no room beside {} special tokens",
                    prefix.len() + suffix.len()
                ),
            ));
        }
        let padding = needs.pad_id.map(|fallback| Padding {
            id: config
                .pad_token()
                .and_then(|token| inner.token_to_id(token))
                .or(padding.as_ref().map(|(id, _)| *id))
                .unwrap_or(fallback),
            left: config.pads_left(padding.map(|(_, direction)| matches!(direction, PaddingDirection::Left))),
            length: config
                .model_max_length()
                .map_or(needs.positions, |length| length.min(needs.positions)),
        });
        let cut_left = config.cuts_left(truncation.map(|direction| matches!(direction, TruncationDirection::Left)));
        let tokenizer = Self {
            inner,
            prefix,
            suffix,
            cut_left,
            vocabulary: needs.vocabulary,
            context: longest,
            padding,
            canonical: Canonical::for_class(&config),
            prompt: needs.prompt,
        };
        let own = tokenizer
            .prefix
            .iter()
            .chain(&tokenizer.suffix)
            .chain(tokenizer.padding.iter().map(|pad| &pad.id));
        match own.copied().find(|id| *id as usize >= needs.vocabulary) {
            Some(id) => Err(LoadError::file(
                dir.label(files::TOKENIZER),
                format!(
                    "special token {id} is not among the model's {} tokens",
                    needs.vocabulary
                ),
            )),
            None => Ok(tokenizer),
        }
    }

    /// Longest text in tokens, special tokens included.
    pub(crate) fn context(&self) -> usize {
        self.context
    }

    /// A text as ids. Special tokens written out in the text count as such, as in the reference. Of a long text only the
    /// head is tokenized where that is enough.
    ///
    /// # Errors
    /// If the text is too long and must not be cut, or can't be read.
    pub(crate) fn text(&self, text: &str, truncate: bool) -> Result<Tokens, ItemError> {
        let prompted: String;
        let mut text = text;
        if !self.prompt.is_empty() {
            prompted = format!("{}{text}", self.prompt);
            text = &prompted;
        }
        let canonical: String;
        if let Some(rule) = &self.canonical {
            canonical = rule.apply(text);
            text = &canonical;
        }
        let encode = |text: &str| match self.inner.encode_fast(text, false) {
            Ok(encoding) => Ok(encoding.get_ids().to_vec()),
            Err(error) => Err(invalid(format!("text: {error}"))),
        };
        if truncate && self.cut_left {
            return self.finish(&encode(text)?, true);
        }
        let special = self.prefix.len() + self.suffix.len();
        let made = encode_head(text, self.context - special, encode)?;
        if !made.whole && !truncate {
            let total = format!("more than {}", made.ids.len() / 2 + special);
            return Err(self.too_long(total));
        }
        self.finish(&made.ids, truncate)
    }

    /// Ids of this tokenizer, without special tokens.
    ///
    /// # Errors
    /// If an id isn't in the vocabulary, or there are too many and they must not be cut.
    pub(crate) fn ids(&self, ids: &[u32], truncate: bool) -> Result<Tokens, ItemError> {
        self.finish(ids, truncate)
    }

    fn finish(&self, content: &[u32], truncate: bool) -> Result<Tokens, ItemError> {
        if let Some(id) = content.iter().find(|id| **id as usize >= self.vocabulary) {
            return Err(invalid(format!(
                "token {id} is not in the model's vocabulary of {}",
                self.vocabulary
            )));
        }
        let special = self.prefix.len() + self.suffix.len();
        let (total, room) = (content.len() + special, self.context - special);
        let truncated = content.len() > room;
        if truncated && !truncate {
            return Err(self.too_long(total));
        }
        let kept = match (truncated, self.cut_left) {
            (false, _) => content,
            (true, false) => &content[..room],
            (true, true) => &content[content.len() - room..],
        };
        let mut ids = [&self.prefix, kept, &self.suffix].concat();
        let count = ids.len() as u32;
        if let Some(padding) = &self.padding {
            let missing = padding.length.saturating_sub(ids.len());
            let at = if padding.left { 0 } else { ids.len() };
            ids.splice(at..at, std::iter::repeat_n(padding.id, missing));
        }
        Ok(Tokens { ids, count, truncated })
    }

    fn too_long(&self, total: impl std::fmt::Display) -> ItemError {
        ItemError {
            code: ItemErrorCode::ContextLength,
            message: format!("the text has {total} tokens, the model reads {}", self.context),
        }
    }
}

fn invalid(message: String) -> ItemError {
    ItemError {
        code: ItemErrorCode::InvalidInput,
        message,
    }
}

/// Puts a lower-casing step before the tokenizer's own normalizer.
fn lowercase(tokenizer: &mut Tokenizer) -> tokenizers::Result<()> {
    use tokenizers::normalizers::{Sequence, utils::Lowercase};
    let mut steps = vec![NormalizerWrapper::Lowercase(Lowercase)];
    steps.extend(tokenizer.get_normalizer().cloned());
    tokenizer.with_normalizer(Some(NormalizerWrapper::Sequence(Sequence::new(steps))))?;
    Ok(())
}

/// The ids that the tokenizer puts before and after a text, learnt from what it makes of one stand-in token.
fn special_tokens(tokenizer: &Tokenizer) -> tokenizers::Result<(Vec<u32>, Vec<u32>)> {
    let stand_in = Token::new(u32::MAX, String::new(), (0, 0));
    let encoding = tokenizer.post_process(Encoding::from_tokens(vec![stand_in], 0), None, true)?;
    let ids = encoding.get_ids();
    match ids.iter().position(|id| *id == u32::MAX) {
        Some(at) => Ok((ids[..at].to_vec(), ids[at + 1..].to_vec())),
        None => Err("the post-processor drops the text".into()),
    }
}
