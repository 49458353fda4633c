//! A completion request as the OpenAPI document shows it. Nothing is parsed into these types: see
//! [`crate::wire::schema`].
#![allow(dead_code, reason = "these types are read by utoipa's derive alone")]

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::wire::chat::schema::{Stop, StreamOptionsInput};

/// Texts, and what is asked of their continuations.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"model": "gpt-4o", "prompt": "Once upon a time", "max_tokens": 16}))]
pub(crate) struct CompletionRequest {
    /// Id or alias of a model that completes.
    #[schema(example = "gpt-4o")]
    pub(crate) model: String,
    /// A text or a list of them; or the token ids of one, or of several.
    pub(crate) prompt: PromptInput,
    /// Most tokens of a reply; by default 16.
    #[schema(minimum = 1)]
    pub(crate) max_tokens: Option<u32>,
    /// 0: always the likeliest token. By default 1.
    #[schema(minimum = 0, maximum = 2)]
    pub(crate) temperature: Option<f32>,
    /// The least set of tokens with this probability together.
    #[schema(exclusive_minimum = 0, maximum = 1)]
    pub(crate) top_p: Option<f32>,
    /// This many of the likeliest tokens; 0: all.
    #[schema(minimum = -1)]
    pub(crate) top_k: Option<i64>,
    /// Tokens with at least this share of the likeliest one's probability.
    #[schema(minimum = 0, maximum = 1)]
    pub(crate) min_p: Option<f32>,
    /// Replies to each prompt; with all prompts at most 128.
    #[schema(minimum = 1, maximum = 128)]
    pub(crate) n: Option<u32>,
    /// Only the value of `n`.
    pub(crate) best_of: Option<u32>,
    /// Whether a reply begins with its prompt; not with `logprobs` or token ids.
    pub(crate) echo: Option<bool>,
    /// Up to four texts; the reply ends before the first of them.
    pub(crate) stop: Option<Stop>,
    /// Equal requests with equal seeds have equal replies; choice i of a prompt uses the seed plus i.
    pub(crate) seed: Option<i64>,
    /// Log probabilities of each token, and of so many of the likeliest beside it.
    #[schema(minimum = 0, maximum = 5)]
    pub(crate) logprobs: Option<u32>,
    /// Added to the logits of tokens, by their ids.
    pub(crate) logit_bias: Option<BTreeMap<String, f32>>,
    /// Subtracted from the logit of every token that the reply has already.
    #[schema(minimum = -2, maximum = 2)]
    pub(crate) presence_penalty: Option<f32>,
    /// Subtracted as many times as the reply has the token already.
    #[schema(minimum = -2, maximum = 2)]
    pub(crate) frequency_penalty: Option<f32>,
    /// Divides the logits of tokens seen already; 1: off.
    #[schema(exclusive_minimum = 0, maximum = 10)]
    pub(crate) repetition_penalty: Option<f32>,
    /// Whether to send the reply as it is made.
    pub(crate) stream: Option<bool>,
    /// Only with `stream`.
    pub(crate) stream_options: Option<StreamOptionsInput>,
}

/// What is to be continued.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum PromptInput {
    /// A text.
    Text(String),
    /// Several texts.
    Texts(Vec<String>),
    /// Token ids of one text.
    Tokens(Vec<u32>),
    /// Token ids of several.
    TokenLists(Vec<Vec<u32>>),
}
