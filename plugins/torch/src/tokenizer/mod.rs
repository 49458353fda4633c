//! A prompt to the ids that a text encoder reads: begin, words, end, padding.

mod files;

use sensorium_checkpoint::encode_head;
use tokenizers::{Encoding, Token, Tokenizer};

use crate::{checkpoint::ModelDir, error::LoadError};
use files::TokenizerConfig;

/// A text encoder's tokenizer, ready for use.
pub(crate) struct PromptTokenizer {
    inner: Tokenizer,
    /// Special tokens before and after every text.
    prefix: Vec<u32>,
    suffix: Vec<u32>,
    padding: u32,
    length: usize,
}

/// A prompt as a text encoder reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PromptTokens {
    /// As many as the encoder has positions: special tokens and padding included.
    pub(crate) ids: Vec<i64>,
    /// Tokens of the whole text, special ones included, also those that were cut off; at least that many if the text is
    /// so long that only its head has been read.
    pub(crate) count: usize,
    /// The text was longer than the encoder reads.
    pub(crate) truncated: bool,
}

// === impl PromptTokenizer ===

impl PromptTokenizer {
    /// Reads `tokenizer.json`, or `vocab.json` and `merges.txt`, in `dir`; `vocabulary` and `positions` are the text
    /// encoder's.
    ///
    /// # Errors
    /// If there are none, they make no sense, or don't fit the encoder.
    pub(crate) fn load(dir: &ModelDir, vocabulary: i64, positions: i64) -> Result<Self, LoadError> {
        let config = TokenizerConfig::load(dir)?;
        let mut inner = files::load(dir)?;
        let fail = |error: tokenizers::Error| LoadError::file(dir.label(files::TOKENIZER), error);
        let padding = inner.get_padding().map(|padding| padding.pad_id);
        inner.with_truncation(None).map_err(fail)?;
        inner.with_padding(None);
        let (prefix, suffix) = special_tokens(&inner).map_err(fail)?;
        let length = config.model_max_length().unwrap_or(positions as usize);
        if length > positions as usize || length <= prefix.len() + suffix.len() {
            let problem = format!("model_max_length is {length}; the text encoder reads {positions} tokens");
            return Err(LoadError::file(dir.label(files::CONFIG), problem));
        }
        let padding = match config.pad_token() {
            Some(token) => inner.token_to_id(token).ok_or_else(|| {
                LoadError::file(
                    dir.label(files::CONFIG),
                    format!("pad_token `{token}` is not in the vocabulary"),
                )
            })?,
            None => padding.or(suffix.last().copied()).unwrap_or(0),
        };
        let own = prefix.iter().chain(&suffix).chain([&padding]);
        if let Some(id) = own.copied().find(|id| i64::from(*id) >= vocabulary) {
            let problem = format!("special token {id} is not among the text encoder's {vocabulary}");
            return Err(LoadError::file(dir.label(files::TOKENIZER), problem));
        }
        if inner.get_vocab_size(true) as i64 > vocabulary {
            let problem = format!(
                "has {} tokens, the text encoder {vocabulary}",
                inner.get_vocab_size(true)
            );
            return Err(LoadError::file(dir.label(files::TOKENIZER), problem));
        }
        Ok(Self {
            inner,
            prefix,
            suffix,
            padding,
            length,
        })
    }

    /// Tokens of a text, special tokens included, that an encoder reads.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// A text as ids, cut to the encoder's length. Of a long text only the head is tokenized where that is enough.
    ///
    /// # Errors
    /// If the text can't be read.
    pub(crate) fn encode(&self, text: &str) -> Result<PromptTokens, String> {
        let encode = |text: &str| match self.inner.encode_fast(text, false) {
            Ok(encoding) => Ok(encoding.get_ids().to_vec()),
            Err(error) => Err(format!("can't be read: {error}")),
        };
        let special = self.prefix.len() + self.suffix.len();
        let room = self.length - special;
        let made = encode_head(text, room, encode)?;
        let truncated = made.ids.len() > room;
        let kept = &made.ids[..made.ids.len().min(room)];
        let words = self.prefix.iter().chain(kept).chain(&self.suffix);
        let mut ids: Vec<i64> = words.map(|id| i64::from(*id)).collect();
        ids.resize(self.length, i64::from(self.padding));
        Ok(PromptTokens {
            ids,
            count: made.ids.len() + special,
            truncated,
        })
    }
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
