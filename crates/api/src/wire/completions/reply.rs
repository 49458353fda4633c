//! A completion's whole reply.

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use super::logprobs::{CompletionLogprobs, Offset};
use crate::chat::reply::Reply;
use crate::wire::chat::reply::FinishName;
use crate::wire::stamp::Stamp;
use crate::wire::usage::Usage;

/// What `object` says of a reply and of its chunks.
pub(crate) const OBJECT: &str = "text_completion";

/// OpenAI's reply.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Completion<'a> {
    /// What the reply says of itself; `object` is `text_completion`.
    #[serde(flatten)]
    pub(crate) stamp: &'a Stamp,
    /// As many as `n` for each prompt, in the order of the prompts.
    pub(crate) choices: Vec<CompletionChoice>,
    /// What it took. In chunks with `stream_options.include_usage` alone: `null` in all but the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Usage>)]
    pub(crate) usage: Option<Option<Usage>>,
}

/// One of the replies, or a part of it.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct CompletionChoice {
    /// The text, or what is new of it; behind the prompt where `echo` asks for it.
    #[schema(example = " red circle")]
    pub(crate) text: String,
    /// From 0, over all prompts.
    pub(crate) index: usize,
    /// If they were asked for.
    #[schema(required)]
    pub(crate) logprobs: Option<CompletionLogprobs>,
    /// Why it ended; `null` in all chunks but the last.
    #[schema(required)]
    pub(crate) finish_reason: Option<FinishName>,
}

/// How replies are written.
#[derive(Debug, Clone)]
pub(crate) struct Style {
    /// The prompts that replies begin with; none without `echo`.
    pub(crate) echo: Vec<Arc<str>>,
    /// Replies to each prompt.
    pub(crate) each: usize,
    /// Whether log probabilities were asked for.
    pub(crate) logprobs: bool,
}

// === impl Style ===

impl Style {
    /// What a reply begins with.
    pub(crate) fn prompt_of(&self, choice: usize) -> &str {
        self.echo.get(choice / self.each.max(1)).map_or("", |prompt| prompt)
    }
}

// === impl Completion ===

impl<'a> Completion<'a> {
    /// The reply with these choices.
    pub(crate) fn new(stamp: &'a Stamp, replies: Vec<Reply>, usage: Usage, style: &Style) -> Self {
        let choices = replies.into_iter().enumerate();
        Self {
            stamp,
            choices: choices
                .map(|(index, reply)| CompletionChoice::new(index, reply, style))
                .collect(),
            usage: Some(Some(usage)),
        }
    }
}

// === impl CompletionChoice ===

impl CompletionChoice {
    fn new(index: usize, reply: Reply, style: &Style) -> Self {
        let prompt = style.prompt_of(index);
        let mut offset = Offset::behind(prompt);
        Self {
            text: [prompt, &reply.text].concat(),
            index,
            logprobs: style
                .logprobs
                .then(|| CompletionLogprobs::of(reply.logprobs, &mut offset)),
            finish_reason: Some(reply.finished.into()),
        }
    }
}
