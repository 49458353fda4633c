//! One reply, from the request to the events that go out. The engine is only asked for logits: tokens are chosen in a
//! logits processor, and what they spell is read here, so that nothing depends on what the engine makes of them.
//!
//! [`Replies`] belongs to a model. [`Replies::start`] gives a [`Call`]: the processor, which goes to the engine, and the
//! [`Reply`], whose steps come as the processor chooses.

mod assemble;
mod processor;

use std::sync::Arc;

use sensorium_contract::{ChatEvent, ChatRefused, ChatRequest, FinishReason, PluginError};
use tokenizers_021::Tokenizer;
use tokio::sync::mpsc;

use crate::{
    sampling::{Sampled, SamplerParams, TokenSampler},
    text::{Vocabulary, VocabularyError},
    tools::{Grammars, Means, Plan, ToolFormat, plan},
};
use assemble::{Assembler, AssemblerParams};

/// Makes the replies of one model.
pub(crate) struct Replies {
    vocabulary: Vocabulary,
    grammars: Grammars,
    format: Option<&'static ToolFormat>,
    forbidden: Arc<[u32]>,
}

/// Why a model's replies can't be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RepliesError {
    #[error(transparent)]
    Vocabulary(#[from] VocabularyError),
    #[error("the tokenizer can't be used for grammars: {0}")]
    Grammars(String),
}

/// A reply that is about to be made.
pub(crate) struct Call {
    /// Goes to the engine, which is to do nothing of its own: no penalties, constraint, tools or stop strings.
    pub(crate) processor: Arc<TokenSampler>,
    /// What comes of it.
    pub(crate) reply: Reply,
}

/// A reply that is being made. Dropping it ends the work at the engine's next token.
pub(crate) struct Reply {
    tokens: mpsc::Receiver<Sampled>,
    assembler: Assembler,
}

/// What one token brought.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    /// Deltas and calls of tools, in order; a delta first.
    pub(crate) events: Vec<ChatEvent>,
    /// Present if the reply is whole.
    pub(crate) end: Option<End>,
}

/// How a reply ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    Finished(FinishReason),
    /// No token could be chosen.
    Failed(PluginError),
}

// === impl Replies ===

impl Replies {
    /// For a model with this tokenizer, whose replies end with any of `stop_ids`, and whose conversations are put into
    /// words by `template`.
    ///
    /// # Errors
    /// [`RepliesError`]
    pub(crate) fn new(tokenizer: &Tokenizer, stop_ids: &[u32], template: Option<&str>) -> Result<Self, RepliesError> {
        let vocabulary = Vocabulary::new(tokenizer, stop_ids)?;
        let grammars = Grammars::new(&vocabulary).map_err(RepliesError::Grammars)?;
        Ok(Self {
            vocabulary,
            grammars,
            format: template.and_then(ToolFormat::detect),
            forbidden: Arc::default(),
        })
    }

    /// From now on no reply has any of these tokens.
    pub(crate) fn forbid(&mut self, ids: &[u32]) {
        self.forbidden = ids.into();
    }

    /// How many token ids there are, and the bytes of the longest token.
    pub(crate) fn extent(&self) -> (u32, usize) {
        let trie = self.vocabulary.env().tok_trie();
        (trie.vocab_size() as u32, trie.max_token_len())
    }

    /// How the model writes calls of tools; `None`: it can't.
    pub(crate) fn tool_format(&self) -> Option<&'static ToolFormat> {
        self.format
    }

    /// True if tools can be called.
    pub(crate) fn can_call_tools(&self) -> bool {
        self.format.is_some()
    }

    /// A reply to `request` of at most `max_tokens` tokens. `prompt` has the prompt's tokens, those of an image at least
    /// once. Compiles schemas, which can take tens of milliseconds.
    ///
    /// # Errors
    /// If a schema can't be followed.
    pub(crate) fn start(&self, request: &ChatRequest, prompt: &[u32], max_tokens: usize) -> Result<Call, ChatRefused> {
        let means = Means {
            grammars: &self.grammars,
            vocabulary: &self.vocabulary,
            format: self.format,
        };
        let Plan {
            guide,
            callables,
            blanks,
        } = plan(request, means)?;
        let (sampler, tokens) = TokenSampler::new(SamplerParams {
            sampling: &request.sampling,
            prompt,
            top_logprobs: request.top_logprobs,
            stop_ids: Arc::clone(self.vocabulary.stop_ids()),
            forbidden: Arc::clone(&self.forbidden),
            guide,
            max_tokens,
        });
        let assembler = Assembler::new(AssemblerParams {
            vocabulary: self.vocabulary.clone(),
            stops: request.stop.clone(),
            tools: self
                .format
                .filter(|_| !callables.is_empty())
                .map(|format| (format, callables)),
            blanks,
            name: name(request.sampling.seed, prompt),
            max_tokens,
        });
        Ok(Call {
            processor: Arc::new(sampler),
            reply: Reply { tokens, assembler },
        })
    }
}

// === impl Reply ===

impl Reply {
    /// What the next token brings; one step for each token. `None`: the engine gave up before the reply was whole, or it
    /// was whole already. Safe to drop and to call again.
    pub(crate) async fn next(&mut self) -> Option<Step> {
        if self.assembler.ended() {
            return None;
        }
        let sampled = self.tokens.recv().await?;
        let step = self.assembler.push(sampled);
        if step.end.is_some() {
            // The processor sees it, should the engine go on.
            self.tokens.close();
        }
        Some(step)
    }

    /// Tokens of the reply so far, one that ends it included.
    pub(crate) fn tokens(&self) -> u32 {
        self.assembler.tokens()
    }
}

#[cfg(test)]
impl Replies {
    pub(crate) fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }
}

#[cfg(test)]
impl Reply {
    /// The token that was chosen last, as it is.
    pub(crate) fn sampled(&mut self) -> Option<Sampled> {
        self.tokens.try_recv().ok()
    }
}

/// Tells replies apart: those to other prompts or with other seeds have other names.
fn name(seed: u64, prompt: &[u32]) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    prompt.iter().for_each(|token| {
        hasher.update(&token.to_le_bytes());
    });
    hasher.finalize().as_bytes().to_vec()
}

#[cfg(test)]
mod tests;
