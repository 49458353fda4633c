//! The tokenizer as the engine has it: from text to ids and back.

use std::sync::Arc;

use tokenizers_021::{AddedToken as Added, Tokenizer};

/// A model's tokenizer. Clones are cheap.
#[derive(Clone)]
pub(crate) struct Codec {
    tokenizer: Arc<Tokenizer>,
    /// Ids are below it.
    size: u32,
    /// Bytes of the longest token.
    longest: usize,
}

/// A token that was added to the tokenizer's model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AddedToken {
    /// Its text.
    pub(crate) text: String,
    /// True if the tokenizer calls it special.
    pub(crate) special: bool,
}

// === impl Codec ===

impl Codec {
    /// `size`: ids are below it; `longest`: bytes of the longest token.
    pub(crate) fn new(tokenizer: Arc<Tokenizer>, size: u32, longest: usize) -> Self {
        Self {
            tokenizer,
            size,
            longest,
        }
    }

    /// How many ids there are; all are below it.
    pub(crate) fn size(&self) -> u32 {
        self.size
    }

    /// Bytes of the longest token.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// The ids of a text, with what the tokenizer puts before and after every text if `framed`.
    ///
    /// # Errors
    /// If the tokenizer can't read it.
    pub(crate) fn encode(&self, text: &str, framed: bool) -> Result<Vec<u32>, String> {
        let encoding = self.tokenizer.encode_fast(text, framed);
        encoding
            .map(|encoding| encoding.get_ids().to_vec())
            .map_err(|error| format!("the tokenizer can't read the prompt: {error}"))
    }

    /// The id of a token by its text.
    pub(crate) fn id(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_to_id(token)
    }

    /// All tokens that were added to the tokenizer's model, by id.
    pub(crate) fn added(&self) -> Vec<AddedToken> {
        let mut added: Vec<(u32, Added)> = self.tokenizer.get_added_tokens_decoder().into_iter().collect();
        added.sort_unstable_by_key(|(id, _)| *id);
        let token = |(_, token): (u32, Added)| AddedToken {
            text: token.content,
            special: token.special,
        };
        added.into_iter().map(token).collect()
    }

    /// True if every text begins with this token.
    pub(crate) fn frames_with(&self, token: &str) -> bool {
        let first = self.encode("", true).ok().and_then(|ids| ids.first().copied());
        first.is_some() && first == self.id(token)
    }
}

impl std::fmt::Debug for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Codec")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}
