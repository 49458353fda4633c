//! Embeds what stands on standard input with a model directory; the parity benchmark compares its output.
//!
//! ```text
//! echo '{"texts": ["a red circle"], "ids": [[320, 736]], "images": []}' \
//!   | cargo run --release -p sensorium-candle --example embed -- models/shapes-clip --dtype bf16
//! ```
//! Token ids come without special tokens; images are base64 of RGB bytes, as large as the model reads them. The answer
//! has a list of vectors under each of these keys.

use std::{io::Read, path::PathBuf};

use anyhow::{Context, anyhow};
use base64::{Engine, prelude::BASE64_STANDARD};
use clap::Parser;
use sensorium_candle::CandlePlugin;
use sensorium_contract::{CallContext, Embed, EmbedInput, EmbedPayload, LoadRequest, Plugin, RgbImage};
use serde::{Deserialize, Serialize};

#[derive(Parser)]
struct Arguments {
    /// The model's directory.
    model: PathBuf,
    #[arg(long, default_value = "auto")]
    device: String,
    #[arg(long, default_value = "auto")]
    dtype: String,
    /// The plugin's options, a JSON object.
    #[arg(long, default_value = "{}")]
    options: String,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
struct Inputs {
    texts: Vec<String>,
    ids: Vec<Vec<u32>>,
    images: Vec<String>,
}

#[derive(Serialize)]
struct Outputs {
    texts: Vec<Vec<f32>>,
    ids: Vec<Vec<f32>>,
    images: Vec<Vec<f32>>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut json = String::new();
    std::io::stdin().read_to_string(&mut json)?;
    let inputs: Inputs = serde_json::from_str(&json).context("the input must be {texts, ids, images}")?;
    let request = LoadRequest {
        path: Some(arguments.model.canonicalize()?),
        device: arguments.device,
        dtype: arguments.dtype,
        options: serde_json::from_str(&arguments.options)?,
        ..LoadRequest::new("embed")
    };
    let loaded = CandlePlugin.load(&request, &|_| {})?;
    let spec = loaded.capabilities.embed.as_ref().and_then(|embed| embed.image);
    let mut embed = loaded.embed.ok_or_else(|| anyhow!("the model doesn't embed"))?;

    let image = |image: &String| {
        let spec = spec.ok_or_else(|| anyhow!("the model reads no images"))?;
        let image = RgbImage::new(spec.width, spec.height, BASE64_STANDARD.decode(image)?)?;
        Ok(EmbedPayload::Image(image))
    };
    let images = inputs.images.iter().map(image).collect::<anyhow::Result<_>>()?;
    let outputs = Outputs {
        texts: vectors(
            embed.as_mut(),
            inputs.texts.into_iter().map(EmbedPayload::Text).collect(),
        )?,
        ids: vectors(
            embed.as_mut(),
            inputs.ids.into_iter().map(EmbedPayload::TokenIds).collect(),
        )?,
        images: vectors(embed.as_mut(), images)?,
    };
    println!("{}", serde_json::to_string(&outputs)?);
    Ok(())
}

fn vectors(embed: &mut dyn Embed, payloads: Vec<EmbedPayload>) -> anyhow::Result<Vec<Vec<f32>>> {
    let inputs: Vec<_> = payloads
        .into_iter()
        .map(|payload| EmbedInput {
            payload,
            truncate: true,
        })
        .collect();
    let results = embed.embed(&inputs, &CallContext::default())?;
    results.into_iter().map(|result| Ok(result?.values)).collect()
}
