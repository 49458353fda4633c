//! A loaded model at the end of a pipe, for benchmarks: `embed_speed MODEL_DIR DTYPE THREADS IMAGES TOKENS`.
//!
//! IMAGES holds RGB pixels of the model's size, one image after another; TOKENS is a JSON list of lists of token ids
//! without special tokens. Each line on standard input, `{"task": "image" | "text", "count": 32, "repeat": 3,
//! "vectors": false}`, embeds the first `count` inputs `repeat` times over; the answer is one line of JSON with the
//! seconds each time took, the processor seconds of all, and the vectors if asked for.

mod support;

use std::{
    io::{BufRead, Write},
    path::PathBuf,
    time::Instant,
};

use sensorium_candle::CandlePlugin;
use sensorium_contract::{CallContext, Embed, EmbedInput, LoadRequest, Plugin, RgbImage};
use serde::Deserialize;
use support::core_seconds;

type Failure = Box<dyn std::error::Error>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Command {
    task: Task,
    count: usize,
    repeat: usize,
    vectors: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Task {
    Image,
    Text,
}

fn main() -> Result<(), Failure> {
    let [directory, dtype, threads, images, tokens] =
        <[String; 5]>::try_from(std::env::args().skip(1).collect::<Vec<_>>())
            .map_err(|_| "usage: embed_speed MODEL_DIR DTYPE THREADS IMAGES TOKENS")?;
    let mut request = LoadRequest::new("bench");
    request.path = Some(PathBuf::from(directory).canonicalize()?);
    request.device = "cpu".to_owned();
    request.dtype = dtype;
    request.threads = Some(threads.parse()?);
    let loaded = CandlePlugin.load(&request, &|_| {})?;
    let spec = loaded
        .capabilities
        .embed
        .as_ref()
        .and_then(|embed| embed.image)
        .ok_or("the model reads no images")?;
    let mut embed = loaded.embed.ok_or("the model does not embed")?;

    let side = (spec.width, spec.height);
    let pixels = std::fs::read(images)?;
    let images: Vec<EmbedInput> = pixels
        .chunks_exact(side.0 as usize * side.1 as usize * 3)
        .map(|rgb| Ok(EmbedInput::image(RgbImage::new(side.0, side.1, rgb.to_vec())?)))
        .collect::<Result<_, Failure>>()?;
    let tokens: Vec<Vec<u32>> = serde_json::from_slice(&std::fs::read(tokens)?)?;
    let texts: Vec<EmbedInput> = tokens
        .into_iter()
        .map(|ids| EmbedInput::token_ids(ids, false))
        .collect();

    for line in std::io::stdin().lock().lines() {
        let command: Command = serde_json::from_str(&line?)?;
        let inputs = match command.task {
            Task::Image => &images,
            Task::Text => &texts,
        };
        let inputs = inputs
            .get(..command.count)
            .ok_or("count is above the number of inputs")?;
        let answer = run(embed.as_mut(), inputs, &command)?;
        println!("{answer}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

fn run(embed: &mut dyn Embed, inputs: &[EmbedInput], command: &Command) -> Result<serde_json::Value, Failure> {
    let mut seconds = Vec::new();
    let mut results = Vec::new();
    let busy = core_seconds();
    for _ in 0..command.repeat {
        let start = Instant::now();
        results = embed.embed(inputs, &CallContext::default())?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    let core_seconds = core_seconds() - busy;
    let vectors = match command.vectors {
        true => results
            .into_iter()
            .map(|result| result.map(|item| item.values))
            .collect::<Result<_, _>>(),
        false => Ok(Vec::new()),
    };
    let vectors: Vec<Vec<f32>> = vectors.map_err(|error| error.message)?;
    Ok(serde_json::json!({ "seconds": seconds, "core_seconds": core_seconds, "vectors": vectors }))
}
