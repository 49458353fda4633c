//! The model: whitespace for a tokenizer, a hash for a network.

use sensorium_contract::{CallContext, Embed, EmbedInput, EmbedPayload, Embedding, ItemError, PluginError};

use crate::hash::{hash, unit_vector};
use crate::misbehaviour::{Misbehaviour, sleep};
use crate::options::Options;

/// Begin and end of text.
const SPECIAL_TOKENS: usize = 2;

/// What was hashed; texts, ids and pixels of equal bytes have different vectors.
const TEXT: u64 = 1;
const TOKEN_IDS: u64 = 2;
const IMAGE: u64 = 3;

/// A model without weights.
#[derive(Debug)]
pub(crate) struct Model {
    options: Options,
    hoard: Vec<Vec<u8>>,
    poisoned: bool,
}

// === impl Model ===

impl Model {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            options,
            hoard: Vec::new(),
            poisoned: false,
        }
    }

    /// Does what one text asks for; the error of its item, if that is what it asks for.
    fn misbehave(&mut self, input: &EmbedInput, context: &CallContext) -> Result<Option<ItemError>, PluginError> {
        let EmbedPayload::Text(text) = &input.payload else {
            return Ok(None);
        };
        let Some(misbehaviour) = Misbehaviour::from_text(text) else {
            return Ok(None);
        };
        misbehaviour.act(context, &mut self.hoard)?;
        match misbehaviour {
            Misbehaviour::Poison => {
                self.poisoned = true;
                Err(PluginError::instance("poisoned, as told"))
            }
            Misbehaviour::Item(error) => Ok(Some(error)),
            _ => Ok(None),
        }
    }

    fn embed_one(&self, input: &EmbedInput) -> Result<Embedding, ItemError> {
        let room = self.options.context_length as usize - SPECIAL_TOKENS;
        let width = self.options.width as usize;
        let (seed, tokens, truncated) = match &input.payload {
            EmbedPayload::Image(image) => (hash(IMAGE, image.as_bytes()), 0, false),
            EmbedPayload::Text(text) => {
                let (kept, words) = first_words(text, room);
                let truncated = kept.len() < text.trim_end().len();
                (hash(TEXT, kept.as_bytes()), words + SPECIAL_TOKENS, truncated)
            }
            EmbedPayload::TokenIds(ids) => {
                let kept = &ids[..ids.len().min(room)];
                let bytes: Vec<u8> = kept.iter().flat_map(|id| id.to_le_bytes()).collect();
                (
                    hash(TOKEN_IDS, &bytes),
                    kept.len() + SPECIAL_TOKENS,
                    kept.len() < ids.len(),
                )
            }
        };
        if truncated && !input.truncate {
            let limit = self.options.context_length;
            return Err(ItemError::context_length(format!(
                "the text is longer than {limit} tokens"
            )));
        }
        // At most context_length, so it fits.
        Ok(Embedding {
            values: unit_vector(seed, width),
            tokens: tokens as u32,
            truncated,
        })
    }
}

impl Embed for Model {
    fn embed(
        &mut self,
        inputs: &[EmbedInput],
        context: &CallContext,
    ) -> Result<Vec<Result<Embedding, ItemError>>, PluginError> {
        if self.poisoned {
            return Err(PluginError::instance("poisoned, as told"));
        }
        sleep(self.options.latency, context);
        let mut results = Vec::with_capacity(inputs.len());
        for input in inputs {
            let error = if self.options.allow_misbehaviour {
                self.misbehave(input, context)?
            } else {
                None
            };
            sleep(self.options.item_latency, context);
            results.push(error.map_or_else(|| self.embed_one(input), Err));
            context.tick();
        }
        Ok(results)
    }
}

/// The text up to the end of its first `limit` words, and how many words that is.
fn first_words(text: &str, limit: usize) -> (&str, usize) {
    let mut words = 0;
    let mut end = 0;
    for word in text.split_whitespace().take(limit) {
        words += 1;
        // The distance of a slice's start from the start of what it was cut from.
        end = word.as_ptr() as usize - text.as_ptr() as usize + word.len();
    }
    (&text[..end], words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn embed(text: &str, truncate: bool, allow_misbehaviour: bool) -> Result<Embedding, ItemError> {
        let options = Options {
            context_length: 5,
            allow_misbehaviour,
            ..Options::default()
        };
        let results = Model::new(options).embed(&[EmbedInput::text(text, truncate)], &CallContext::default());
        results.unwrap().remove(0)
    }

    #[test]
    fn long_texts_are_cut_or_refused() {
        let cut = embed("one two three four", true, false).unwrap();
        let short = embed("one two three", false, false).unwrap();
        assert_eq!(cut.values, short.values);
        assert_eq!((cut.tokens, cut.truncated), (5, true));
        assert_eq!((short.tokens, short.truncated), (5, false));
        assert!(embed("one two three four", false, false).is_err());
    }

    #[test]
    fn the_empty_text_has_a_vector_of_its_own() {
        let empty = embed("", false, false).unwrap();
        assert_eq!((empty.tokens, empty.truncated), (2, false));
        assert!(!embed(" \n", false, false).unwrap().truncated);
    }

    #[test]
    fn it_misbehaves_only_where_allowed() {
        assert!(embed("stub:error:item", true, false).is_ok());
        assert!(embed("stub:error:item", true, true).is_err());
    }

    #[test]
    fn once_poisoned_every_batch_fails() {
        let mut model = Model::new(Options {
            allow_misbehaviour: true,
            ..Options::default()
        });
        let context = CallContext::default();
        assert!(model.embed(&[EmbedInput::text("stub:poison", true)], &context).is_err());
        assert!(model.embed(&[EmbedInput::text("a cat", true)], &context).is_err());
    }
}
