//! What the tests of this crate share: loading a model and comparing vectors.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::{Path, PathBuf};

use sensorium_candle::CandlePlugin;
use sensorium_contract::{
    CallContext, Capabilities, Embed, EmbedInput, EmbedPayload, Embedding, ItemError, LoadRequest, Plugin, PluginError,
    RgbImage,
};

/// A loaded model.
pub(crate) struct Loaded {
    /// What it says it can do.
    pub(crate) capabilities: Capabilities,
    embed: Box<dyn Embed>,
}

/// The golden models of this folder.
pub(crate) fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// Loads a model on the CPU with two threads.
pub(crate) fn load(path: &Path, dtype: &str, options: &str) -> Result<Loaded, PluginError> {
    let request = LoadRequest {
        model: "test".to_owned(),
        path: Some(path.to_owned()),
        device: "cpu".to_owned(),
        dtype: dtype.to_owned(),
        threads: Some(2),
        options: serde_json::from_str(options).expect("options are a JSON object"),
    };
    let loaded = CandlePlugin.load(&request, &|_| {})?;
    Ok(Loaded {
        capabilities: loaded.capabilities,
        embed: loaded.embed.expect("it embeds"),
    })
}

impl Loaded {
    /// One call.
    pub(crate) fn embed(&mut self, payloads: &[EmbedPayload]) -> Vec<Result<Embedding, ItemError>> {
        let inputs: Vec<_> = payloads
            .iter()
            .map(|payload| EmbedInput {
                payload: payload.clone(),
                truncate: true,
            })
            .collect();
        self.embed
            .embed(&inputs, &CallContext::default())
            .expect("the batch works")
    }

    /// One call that must succeed for every input.
    pub(crate) fn vectors(&mut self, payloads: &[EmbedPayload]) -> Vec<Vec<f32>> {
        self.embed(payloads)
            .into_iter()
            .map(|result| result.expect("the item works").values)
            .collect()
    }

    /// One input that must not be cut.
    pub(crate) fn embed_whole(&mut self, payload: EmbedPayload) -> Result<Embedding, ItemError> {
        let input = EmbedInput {
            payload,
            truncate: false,
        };
        self.embed
            .embed(&[input], &CallContext::default())
            .expect("the batch works")
            .remove(0)
    }

    /// An image of the model's own size.
    pub(crate) fn image(&self, rgb: Vec<u8>) -> EmbedPayload {
        let spec = self
            .capabilities
            .embed
            .as_ref()
            .and_then(|embed| embed.image)
            .expect("it reads images");
        EmbedPayload::Image(RgbImage::new(spec.width, spec.height, rgb).expect("the golden has the model's size"))
    }
}

/// A text to embed.
pub(crate) fn text(text: &str) -> EmbedPayload {
    EmbedPayload::Text(text.to_owned())
}

/// The lowest cosine between rows of the same index.
pub(crate) fn lowest_cosine(made: &[Vec<f32>], expected: &[Vec<f32>]) -> f64 {
    assert_eq!(made.len(), expected.len());
    made.iter().zip(expected).map(|(a, b)| cosine(a, b)).fold(1.0, f64::min)
}

/// The lowest cosine after the mean of `expected` is subtracted from both: what all embeddings of a model share makes
/// even wrong ones look close.
pub(crate) fn lowest_centred_cosine(made: &[Vec<f32>], expected: &[Vec<f32>]) -> f64 {
    let count = expected.len() as f32;
    let mean: Vec<f32> = (0..expected[0].len())
        .map(|i| expected.iter().map(|row| row[i]).sum::<f32>() / count)
        .collect();
    let centre = |rows: &[Vec<f32>]| -> Vec<Vec<f32>> {
        rows.iter()
            .map(|row| row.iter().zip(&mean).map(|(x, mean)| x - mean).collect())
            .collect()
    };
    lowest_cosine(&centre(made), &centre(expected))
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len(), "widths differ");
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
