//! Log probabilities of a completion, in their old form: four lists side by side.

use std::collections::BTreeMap;

use sensorium_engine::{Candidate, TokenLogprob};
use serde::Serialize;
use utoipa::ToSchema;

use crate::wire::chat::logprobs::told;

/// Log probabilities of a completion, or of a chunk of one.
#[derive(Debug, Default, PartialEq, Serialize, ToSchema)]
pub(crate) struct CompletionLogprobs {
    /// The tokens, as text; where a token's bytes are no whole characters, `bytes:` and each byte as `\x..`.
    pub(crate) tokens: Vec<String>,
    /// Natural logarithms of their probabilities; -9999 stands for less than can be told.
    pub(crate) token_logprobs: Vec<f32>,
    /// For each, the likeliest tokens and the chosen one.
    pub(crate) top_logprobs: Vec<BTreeMap<String, f32>>,
    /// Where in the text each begins, in characters.
    pub(crate) text_offset: Vec<usize>,
}

/// Where in a reply's text the next token begins, in characters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Offset(usize);

// === impl CompletionLogprobs ===

impl CompletionLogprobs {
    /// Those of the next tokens of a reply, which begin at `offset`.
    pub(crate) fn of(tokens: Vec<TokenLogprob>, offset: &mut Offset) -> Self {
        let mut lists = Self::default();
        for TokenLogprob { chosen, top } in tokens {
            lists.text_offset.push(offset.0);
            offset.pass(&chosen.token);
            let entry = |candidate: &Candidate| (text(&candidate.token), told(candidate.logprob));
            let (token, logprob) = entry(&chosen);
            lists
                .top_logprobs
                .push(top.iter().chain([&chosen]).map(entry).collect());
            lists.tokens.push(token);
            lists.token_logprobs.push(logprob);
        }
        lists
    }
}

// === impl Offset ===

impl Offset {
    /// Behind a prompt that is repeated, or at 0.
    pub(crate) fn behind(prompt: &str) -> Self {
        Self(prompt.chars().count())
    }

    /// Over the characters that begin in a token.
    fn pass(&mut self, token: &[u8]) {
        self.0 += token.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
    }
}

fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => {
            let escaped: String = bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect();
            format!("bytes:{escaped}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_count_characters() {
        let token = |bytes: &[u8], logprob| TokenLogprob {
            chosen: Candidate {
                id: 0,
                token: bytes.to_vec(),
                logprob,
            },
            top: vec![Candidate {
                id: 1,
                token: b"x".to_vec(),
                logprob: -0.25,
            }],
        };
        let mut offset = Offset::behind("né");
        let lists = CompletionLogprobs::of(
            vec![token("ü".as_bytes(), -0.5), token(&[0xc3], -1.0), token(&[0xbc], -2.0)],
            &mut offset,
        );
        assert_eq!(lists.tokens, ["ü", "bytes:\\xc3", "bytes:\\xbc"]);
        assert_eq!(lists.token_logprobs, [-0.5, -1.0, -2.0]);
        assert_eq!(lists.text_offset, [2, 3, 4]);
        assert_eq!(
            lists.top_logprobs[0],
            BTreeMap::from([("ü".to_owned(), -0.5), ("x".to_owned(), -0.25)])
        );
        let more = CompletionLogprobs::of(vec![token(b"a", 0.0)], &mut offset);
        assert_eq!(more.text_offset, [4]);
    }
}
