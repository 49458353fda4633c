//! The embed task: one batch of mixed inputs through the towers, piece by piece.

use std::ops::Range;

use sensorium_contract::{
    CallContext, Embed, EmbedInput, EmbedPayload, Embedding, ItemError, ItemErrorCode, PluginError, RgbImage,
};

use crate::{error::LoadError, model::Model, nn::Compute, tokenizer::Tokens};

/// A loaded model at work.
pub(crate) struct Embedder {
    model: Model,
    /// Rows of activations computed at once; between pieces, cancellation is looked at and progress told.
    rows: usize,
}

/// What is put in for an input's result.
type Item = Result<Embedding, ItemError>;

/// A text that waits for its vector: its place in the batch, and its tokens.
type Text = (usize, Tokens);

// === impl Embedder ===

impl Embedder {
    /// A CPU thread is kept busy by some hundred rows, and a piece then ends within a second or so; a GPU wants more.
    pub(crate) fn new(model: Model, compute: &Compute) -> Self {
        let rows = if compute.device.is_cpu() {
            512 * compute.threads
        } else {
            1 << 16
        };
        Self { model, rows }
    }

    /// Embeds a word and a grey image, so that what can't work fails now and what is slow the first time is over.
    ///
    /// # Errors
    /// If the device fails, or a vector isn't finite.
    pub(crate) fn warm_up(&mut self) -> Result<(), LoadError> {
        let mut inputs = Vec::new();
        if self.model.text.is_some() {
            inputs.push(EmbedPayload::Text("a".to_owned()));
        }
        if let Some(spec) = self.model.capabilities.image {
            let grey = vec![128; (spec.width * spec.height * 3) as usize];
            let image = RgbImage::new(spec.width, spec.height, grey);
            inputs.push(EmbedPayload::Image(
                image.map_err(|error| LoadError::Unsupported(error.to_string()))?,
            ));
        }
        let inputs: Vec<_> = inputs
            .into_iter()
            .map(|payload| EmbedInput {
                payload,
                truncate: true,
            })
            .collect();
        let results = self.run(&inputs, &CallContext::default())?;
        match results.into_iter().find_map(Result::err) {
            None => Ok(()),
            Some(error) => Err(LoadError::Unsupported(format!(
                "the first try of the model failed: {error}"
            ))),
        }
    }

    fn run(&self, inputs: &[EmbedInput], context: &CallContext) -> candle_core::Result<Vec<Item>> {
        let mut items: Vec<Option<Item>> = vec![None; inputs.len()];
        let mut texts = Vec::new();
        let mut images = Vec::new();
        for (place, input) in inputs.iter().enumerate() {
            if context.is_cancelled() {
                return Err(candle_core::Error::msg(CALLED_OFF));
            }
            let failed = match &input.payload {
                EmbedPayload::Image(image) => self.check(image).map(|()| images.push((place, image))),
                EmbedPayload::Text(_) | EmbedPayload::TokenIds(_) => {
                    self.tokens(input).map(|tokens| texts.push((place, tokens)))
                }
            };
            items[place] = failed.err().map(Err);
            // Long texts take long to tokenize, and that is no stall.
            context.tick();
        }
        self.texts(&texts, &mut items, context)?;
        self.images(&images, &mut items, context)?;
        items
            .into_iter()
            .map(|item| item.ok_or_else(|| candle_core::Error::msg(CALLED_OFF)))
            .collect()
    }

    fn texts(&self, texts: &[Text], items: &mut [Option<Item>], context: &CallContext) -> candle_core::Result<()> {
        let Some((_, tower)) = &self.model.text else {
            return Ok(());
        };
        let lengths: Vec<usize> = texts.iter().map(|(_, tokens)| tokens.ids.len()).collect();
        for piece in pieces(&lengths, self.rows) {
            if context.is_cancelled() {
                return Ok(());
            }
            let piece = &texts[piece];
            let ids: Vec<&[u32]> = piece.iter().map(|(_, tokens)| tokens.ids.as_slice()).collect();
            for ((place, tokens), values) in piece.iter().zip(tower.embed(&ids)?) {
                items[*place] = Some(finish(values, tokens.count, tokens.truncated));
                context.tick();
            }
        }
        Ok(())
    }

    fn images(
        &self,
        images: &[(usize, &RgbImage)],
        items: &mut [Option<Item>],
        context: &CallContext,
    ) -> candle_core::Result<()> {
        let Some((patches, tower)) = &self.model.image else {
            return Ok(());
        };
        for piece in pieces(&vec![*patches; images.len()], self.rows) {
            if context.is_cancelled() {
                return Ok(());
            }
            let piece = &images[piece];
            let pixels: Vec<&[u8]> = piece.iter().map(|(_, image)| image.as_bytes()).collect();
            for ((place, _), values) in piece.iter().zip(tower.embed(&pixels)?) {
                items[*place] = Some(finish(values, *patches as u32, false));
                context.tick();
            }
        }
        Ok(())
    }

    fn tokens(&self, input: &EmbedInput) -> Result<Tokens, ItemError> {
        let Some((tokenizer, _)) = &self.model.text else {
            return Err(invalid("the model reads no text"));
        };
        match &input.payload {
            EmbedPayload::Text(text) => tokenizer.text(text, input.truncate),
            EmbedPayload::TokenIds(ids) => tokenizer.ids(ids, input.truncate),
            EmbedPayload::Image(_) => Err(invalid("an image has no tokens")),
        }
    }

    fn check(&self, image: &RgbImage) -> Result<(), ItemError> {
        match self.model.capabilities.image {
            None => Err(invalid("the model reads no images")),
            Some(spec) if (spec.width, spec.height) == (image.width(), image.height()) => Ok(()),
            Some(spec) => Err(invalid(&format!(
                "the image has {}×{} pixels, the model reads {}×{}",
                image.width(),
                image.height(),
                spec.width,
                spec.height
            ))),
        }
    }
}

const CALLED_OFF: &str = "the call was called off";

impl Embed for Embedder {
    fn embed(&mut self, inputs: &[EmbedInput], context: &CallContext) -> Result<Vec<Item>, PluginError> {
        let results = self.run(inputs, context);
        match results {
            Ok(results) => Ok(results),
            Err(_) if context.is_cancelled() => Err(PluginError::caller(CALLED_OFF)),
            Err(error) => Err(PluginError::instance(error.to_string())),
        }
    }
}

/// To unit length, if it can be.
fn finish(mut values: Vec<f32>, tokens: u32, truncated: bool) -> Item {
    let norm = values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    if !(norm.is_finite() && norm > 0.0) {
        return Err(invalid(
            "the model makes no finite vector of this input; another dtype may",
        ));
    }
    values.iter_mut().for_each(|x| *x = (f64::from(*x) / norm) as f32);
    Ok(Embedding {
        values,
        tokens,
        truncated,
    })
}

fn invalid(message: &str) -> ItemError {
    ItemError {
        code: ItemErrorCode::InvalidInput,
        message: message.to_owned(),
    }
}

/// Runs of items of about equal work: as few as hold at most `rows` rows each, or one item.
fn pieces(lengths: &[usize], rows: usize) -> Vec<Range<usize>> {
    let total: usize = lengths.iter().sum();
    let target = total.div_ceil(total.div_ceil(rows).max(1));
    let mut pieces = Vec::new();
    let (mut start, mut held) = (0, 0);
    for (index, length) in lengths.iter().enumerate() {
        if index > start && held + length > target.max(*length) {
            pieces.push(start..index);
            (start, held) = (index, 0);
        }
        held += length;
    }
    if start < lengths.len() {
        pieces.push(start..lengths.len());
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_even_and_lose_nothing() {
        for (lengths, rows, expected) in [
            (vec![], 10, &[][..]),
            (vec![5], 3, &[1]),
            (vec![50; 4], 1000, &[4]),
            (vec![50; 4], 100, &[2, 2]),
            (vec![3, 3, 3, 3, 3], 10, &[2, 2, 1]),
            (vec![1, 100, 1], 50, &[1, 1, 1]),
        ] {
            let made = pieces(&lengths, rows);
            let sizes: Vec<usize> = made.iter().map(Range::len).collect();
            assert_eq!(sizes, expected, "{lengths:?} in {rows}");
            assert!(made.windows(2).all(|pair| pair[0].end == pair[1].start), "{made:?}");
        }
    }

    #[test]
    fn vectors_have_unit_length_or_are_refused() {
        let made = finish(vec![3.0, 4.0], 2, false).expect("finite");
        assert_eq!(made.values, [0.6, 0.8]);
        assert!(finish(vec![0.0, 0.0], 1, false).is_err());
        assert!(finish(vec![f32::NAN, 1.0], 1, false).is_err());
        assert!(finish(vec![f32::MAX, f32::MAX], 1, false).is_ok());
    }
}
