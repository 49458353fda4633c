//! What each token of a model spells.

use std::{collections::HashSet, sync::Arc};

use llguidance::toktrie::{TokEnv, TokRxInfo, TokTrie};
use serde_json::Value;
use tokenizers_021::Tokenizer;
use toktrie_hf_tokenizers::{ByteTokenizer, ByteTokenizerEnv};

/// Why a tokenizer can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VocabularyError {
    /// Its decoder is neither ByteLevel nor ByteFallback, or it has a token that can't be spelt in bytes.
    #[error("the tokenizer's tokens can't be turned into bytes: {0}")]
    Bytes(String),
    /// A token that ends replies is not in it.
    #[error("the token {0} that ends replies is not in the tokenizer's vocabulary of {1}")]
    StopId(u32, usize),
    /// Nothing would end a reply.
    #[error("no token ends replies; name one as eos_token_id in generation_config.json or config.json")]
    NoStopId,
}

/// The bytes of every token, and which tokens a reply's text leaves out.
#[derive(Clone)]
pub(crate) struct Vocabulary {
    env: TokEnv,
    hidden: Arc<HashSet<u32>>,
    stop_ids: Arc<[u32]>,
    strip: usize,
}

// === impl Vocabulary ===

impl Vocabulary {
    /// The vocabulary of `tokenizer`, in which `stop_ids` end replies.
    ///
    /// # Errors
    /// [`VocabularyError`]
    pub(crate) fn new(tokenizer: &Tokenizer, stop_ids: &[u32]) -> Result<Self, VocabularyError> {
        let strip = leading_spaces(&serde_json::to_value(tokenizer.get_decoder()).unwrap_or_default());
        let bytes = ByteTokenizer::from_tokenizer(tokenizer.clone());
        let bytes = bytes.map_err(|error| VocabularyError::Bytes(error.to_string()))?;
        let mut words = bytes.token_bytes();
        for &id in stop_ids {
            if id as usize >= words.len() {
                return Err(VocabularyError::StopId(id, words.len()));
            }
        }
        let first = *stop_ids.first().ok_or(VocabularyError::NoStopId)?;
        let mut hidden: HashSet<u32> = stop_ids.iter().copied().collect();
        for (id, token) in tokenizer.get_added_tokens_decoder() {
            let Some(word) = words.get_mut(id as usize) else {
                continue;
            };
            if token.special {
                hidden.insert(id);
            }
            // The crate above takes every token that looks like <…> for special; Qwen's <think> is none.
            let marked = hidden.contains(&id) || crate::tools::MARKERS.contains(&token.content.as_str());
            *word = if marked {
                special(token.content.as_bytes())
            } else {
                token.content.into_bytes()
            };
        }
        let mut info = TokRxInfo::new(words.len() as u32, first);
        info.tok_end_of_turn = None;
        let tok_trie = TokTrie::from(&info, &words).with_eos_tokens(stop_ids);
        let env = ByteTokenizerEnv {
            tokenizer: bytes,
            tok_trie,
        }
        .to_env();
        Ok(Self {
            env,
            hidden: Arc::new(hidden),
            stop_ids: stop_ids.into(),
            strip,
        })
    }

    /// For the grammar engine.
    pub(crate) fn env(&self) -> &TokEnv {
        &self.env
    }

    /// The tokens that end replies; at least one.
    pub(crate) fn stop_ids(&self) -> &Arc<[u32]> {
        &self.stop_ids
    }

    /// How many spaces the tokenizer's decoder takes off the start of a text.
    pub(crate) fn strip(&self) -> usize {
        self.strip
    }

    /// The bytes of a token; of a special one those of its name. Empty for ids that name nothing.
    pub(crate) fn spelling(&self, id: u32) -> &[u8] {
        let word = self.env.tok_trie().token(id);
        word.strip_prefix(&[TokTrie::SPECIAL_TOKEN_MARKER]).unwrap_or(word)
    }

    /// True if the token is left out of a reply's text.
    pub(crate) fn is_hidden(&self, id: u32) -> bool {
        self.hidden.contains(&id)
    }

    /// The token that a grammar must name by its id instead of spelling it.
    pub(crate) fn special(&self, name: &str) -> Option<u32> {
        self.env.tok_trie().get_special_token(name)
    }
}

/// The bytes by which the grammar engine knows a special token.
fn special(name: &[u8]) -> Vec<u8> {
    [&[TokTrie::SPECIAL_TOKEN_MARKER], name].concat()
}

/// How many spaces a decoder, given as in tokenizer.json, takes off the start.
fn leading_spaces(decoder: &Value) -> usize {
    match decoder["type"].as_str() {
        Some("Strip") if decoder["content"] == " " => decoder["start"].as_u64().unwrap_or(0) as usize,
        Some("Metaspace") => usize::from(decoder["prepend_scheme"] != "never"),
        Some("Sequence") => decoder["decoders"]
            .as_array()
            .into_iter()
            .flatten()
            .map(leading_spaces)
            .sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{Characters, fake};

    #[test]
    fn tokens_spell_bytes() {
        let added = [("<image>", true), ("<tool_call>", false), ("<think>", false)];
        let vocabulary = fake::vocabulary(&fake::byte_level(&[" the", "é"], &added));
        let rows: [(u32, &[u8], bool); 9] = [
            (65, b"A", false),
            (10, b"\n", false),
            (0xc3, b"\xc3", false),
            (256, b"<eos>", true),
            (257, b" the", false),
            (258, "é".as_bytes(), false),
            (259, b"<image>", true),
            (260, b"<tool_call>", false),
            (9999, b"", false),
        ];
        for (id, spelling, hidden) in rows {
            assert_eq!(
                (vocabulary.spelling(id), vocabulary.is_hidden(id)),
                (spelling, hidden),
                "{id}"
            );
        }
        assert_eq!(vocabulary.special("<image>"), Some(259));
        assert_eq!(vocabulary.special("<tool_call>"), Some(260));
        assert_eq!(vocabulary.special("<think>"), None);
        assert_eq!(vocabulary.spelling(261), b"<think>");
    }

    #[test]
    fn a_vocabulary_must_have_its_stop_tokens() {
        let tokenizer = fake::byte_level(&[], &[]);
        assert!(matches!(
            Vocabulary::new(&tokenizer, &[]),
            Err(VocabularyError::NoStopId)
        ));
        assert!(matches!(
            Vocabulary::new(&tokenizer, &[256, 300]),
            Err(VocabularyError::StopId(300, 257))
        ));
    }

    /// What comes out token by token is what the tokenizer's own decoder gives for all of them.
    #[test]
    fn the_text_is_that_of_the_tokenizers_decoder() {
        let byte_level = fake::byte_level(&[" the", "é", "  "], &[("<image>", true)]);
        let byte_fallback = fake::byte_fallback(&["▁the", "▁", "▁▁", "cat", "é"]);
        let rows: [(&Tokenizer, &[u32]); 9] = [
            (&byte_level, &[257, 258, 65, 256]),
            (&byte_level, &[259, 257]),
            (&byte_level, &[0xf0, 0x9f, 260, 0x98, 0x80, 65]),
            (&byte_level, &[0xe2, 0x82, 65, 0xff - 1]),
            (&byte_fallback, &[257, 260]),
            (&byte_fallback, &[258, 257, 260, 258]),
            (&byte_fallback, &[259, 260]),
            (&byte_fallback, &[260, 257, 0xc3, 0xa9, 256]),
            (&byte_fallback, &[0xf0, 0x9f, 0x98, 0x80, 261]),
        ];
        for (tokenizer, ids) in rows {
            let vocabulary = fake::vocabulary(tokenizer);
            let mut characters = Characters::new(vocabulary.strip());
            let mut text = String::new();
            for &id in ids.iter().filter(|&&id| !vocabulary.is_hidden(id)) {
                text.extend(characters.push(vocabulary.spelling(id)).map(|piece| piece.text));
            }
            text.extend(characters.finish().map(|piece| piece.text));
            assert_eq!(text, tokenizer.decode(ids, true).expect("it decodes"), "{ids:?}");
        }
    }
}
