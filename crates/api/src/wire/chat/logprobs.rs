//! Log probabilities of a chat's reply.

use sensorium_engine::{Candidate, TokenLogprob};
use serde::Serialize;
use utoipa::ToSchema;

/// Log probabilities of a reply, or of a chunk of one.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChatLogprobs {
    /// One entry for each token.
    pub(crate) content: Vec<TokenEntry>,
    /// Always `null`.
    #[schema(required)]
    pub(crate) refusal: Option<Vec<TokenEntry>>,
}

/// A token of the reply.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenEntry {
    /// The token itself.
    #[serde(flatten)]
    pub(crate) token: TokenChoice,
    /// The likeliest tokens here, likeliest first; as many as `top_logprobs` says.
    pub(crate) top_logprobs: Vec<TokenChoice>,
}

/// A token with its probability.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenChoice {
    /// As text; where its bytes are no whole characters, each byte as `\x..`.
    #[schema(example = " red")]
    pub(crate) token: String,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// Natural logarithm of its probability; -9999 stands for less than can be told.
    #[schema(example = -0.02)]
    pub(crate) logprob: f32,
}

// === impl ChatLogprobs ===

impl ChatLogprobs {
    /// Those of some tokens.
    pub(crate) fn of(tokens: Vec<TokenLogprob>) -> Self {
        Self {
            content: tokens.into_iter().map(TokenEntry::from).collect(),
            refusal: None,
        }
    }
}

// === impl TokenEntry ===

impl From<TokenLogprob> for TokenEntry {
    fn from(token: TokenLogprob) -> Self {
        Self {
            token: token.chosen.into(),
            top_logprobs: token.top.into_iter().map(TokenChoice::from).collect(),
        }
    }
}

// === impl TokenChoice ===

impl From<Candidate> for TokenChoice {
    fn from(candidate: Candidate) -> Self {
        Self {
            token: token_text(&candidate.token),
            logprob: told(candidate.logprob),
            bytes: candidate.token,
        }
    }
}

/// A token's bytes as text, escaped as OpenAI does where they are no whole characters.
pub(crate) fn token_text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect(),
    }
}

/// JSON knows no infinity, and rounding may have made a certainty a hair more than that.
pub(crate) fn told(logprob: f32) -> f32 {
    if logprob.is_finite() { logprob.min(0.0) } else { -9999.0 }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tokens_are_told_as_text_and_bytes() {
        let candidate = |token: &[u8], logprob| Candidate {
            id: 1,
            token: token.to_vec(),
            logprob,
        };
        let token = TokenLogprob {
            chosen: candidate(b" red", -0.5),
            top: vec![
                candidate(&[0xf0, 0x9f], f32::NEG_INFINITY),
                candidate("ü".as_bytes(), 1e-4),
            ],
        };
        assert_eq!(
            serde_json::to_value(ChatLogprobs::of(vec![token])).unwrap(),
            json!({"refusal": null, "content": [{
                "token": " red", "bytes": [32, 114, 101, 100], "logprob": -0.5,
                "top_logprobs": [
                    {"token": "\\xf0\\x9f", "bytes": [240, 159], "logprob": -9999.0},
                    {"token": "ü", "bytes": [195, 188], "logprob": 0.0},
                ]
            }]})
        );
    }
}
