//! Prompts as the UNet reads them, and the ones that were read last.

use std::collections::VecDeque;

use tch::{Kind, Tensor};

use super::{ImageTask, Pipeline, Refusal};
use crate::config::Family;

/// Prompts that are remembered.
const REMEMBERED: usize = 64;

/// A prompt as the UNet reads it, in its number format on its device.
pub(super) struct Prompt {
    /// States of its tokens, `[1, tokens, context]`.
    pub(super) states: Tensor,
    /// SDXL: the pooled state, `[1, projection]`.
    pub(super) pooled: Option<Tensor>,
    /// Tokens of it that were read, special ones included and padding not.
    pub(super) tokens: usize,
    /// It was longer than the text encoders read.
    pub(super) truncated: bool,
}

/// A task's prompts.
pub(super) struct Prompts {
    pub(super) positive: Prompt,
    /// `None`: the task isn't guided, or not by a second pass.
    pub(super) negative: Option<Prompt>,
}

/// The prompts that were read last, newest first.
#[derive(Default)]
pub(super) struct PromptCache {
    entries: VecDeque<(Key, Prompt)>,
}

/// Equal keys have equal states.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    text: String,
    /// Adapters change text encoders too: place and bits of the weight.
    loras: Vec<(usize, u32)>,
}

// === impl PromptCache ===

impl PromptCache {
    fn get(&mut self, key: &Key) -> Option<Prompt> {
        let at = self.entries.iter().position(|(other, _)| other == key)?;
        let entry = self.entries.remove(at)?;
        let prompt = entry.1.share();
        self.entries.push_front(entry);
        Some(prompt)
    }

    fn put(&mut self, key: Key, prompt: &Prompt) {
        self.entries.push_front((key, prompt.share()));
        self.entries.truncate(REMEMBERED);
    }
}

// === impl Pipeline ===

impl Pipeline {
    /// Reads a task's prompts, from memory where they are in it. The task's adapters must be active.
    pub(super) fn prompts(&self, task: &ImageTask, guided: bool) -> Result<Prompts, Refusal> {
        let positive = self.prompt(task, "prompt", &task.prompt)?;
        let negative = match (guided, task.negative_prompt.as_deref()) {
            (false, _) => None,
            (true, None) if self.index.family == Family::Xl && self.index.zeros_for_empty => Some(positive.zeros()),
            (true, Some(text)) => Some(self.prompt(task, "negative_prompt", text)?),
            // An empty text stands in for none; its tokens aren't the request's.
            (true, None) => Some(Prompt {
                tokens: 0,
                ..self.prompt(task, "negative_prompt", "")?
            }),
        };
        Ok(Prompts { positive, negative })
    }

    fn prompt(&self, task: &ImageTask, field: &'static str, text: &str) -> Result<Prompt, Refusal> {
        let key = Key {
            text: text.to_owned(),
            loras: task.loras.iter().map(|(at, weight)| (*at, weight.to_bits())).collect(),
        };
        let known = self.prompts.borrow_mut().get(&key);
        let prompt = match known {
            Some(prompt) => prompt,
            None => {
                let prompt = self.read(field, text, task.truncate)?;
                self.prompts.borrow_mut().put(key, &prompt);
                prompt
            }
        };
        match prompt.truncated && !task.truncate {
            true => Err(self.too_long(field)),
            false => Ok(prompt),
        }
    }

    fn read(&self, field: &'static str, text: &str, truncate: bool) -> Result<Prompt, Refusal> {
        let (mut states, mut pooled, mut tokens, mut truncated) = (Vec::new(), None, 0, false);
        for (tokenizer, encoder) in &self.encoders {
            let read = tokenizer
                .encode(text)
                .map_err(|problem| Refusal::new(field, format!("{field} {problem}")))?;
            if read.truncated && !truncate {
                return Err(self.too_long(field));
            }
            tokens = tokens.max(read.count.min(tokenizer.length()));
            truncated |= read.truncated;
            let ids = Tensor::from_slice(&read.ids).unsqueeze(0).to_device(self.target.device);
            let made = tch::no_grad(|| encoder.forward(&ids));
            states.push(match self.index.family {
                Family::StableDiffusion => made.last,
                Family::Xl => made.penultimate,
            });
            pooled = made.pooled.or(pooled);
        }
        Ok(Prompt {
            states: Tensor::cat(&states, -1).to_kind(self.target.kind),
            pooled,
            tokens,
            truncated,
        })
    }

    fn too_long(&self, field: &'static str) -> Refusal {
        let context = self.context_length();
        Refusal {
            field,
            message: format!("{field} is longer than the {context} tokens that the model reads"),
            too_long: true,
        }
    }
}

// === impl Prompt ===

impl Prompt {
    /// The same tensors once more.
    fn share(&self) -> Self {
        Self {
            states: self.states.shallow_clone(),
            pooled: self.pooled.as_ref().map(Tensor::shallow_clone),
            ..*self
        }
    }

    /// What SDXL was trained to see where there is no prompt.
    fn zeros(&self) -> Self {
        Self {
            states: self.states.zeros_like(),
            pooled: self.pooled.as_ref().map(Tensor::zeros_like),
            tokens: 0,
            truncated: false,
        }
    }

    /// The pooled state as a row, in the UNet's format.
    pub(super) fn pooled_row(&self, kind: Kind) -> Option<Tensor> {
        self.pooled.as_ref().map(|pooled| pooled.to_kind(kind))
    }
}
