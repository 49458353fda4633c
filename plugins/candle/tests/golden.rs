//! Embeddings of tiny models of every family, and of the bundled shapes-clip, against those of transformers and
//! sentence-transformers on the same files (made by `make_goldens.py`).

mod support;

use std::path::Path;

use base64::{Engine, prelude::BASE64_STANDARD};
use sensorium_contract::EmbedPayload;
use serde::Deserialize;
use support::{Loaded, golden, load, lowest_centred_cosine, lowest_cosine, text};

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Expected {
    /// Adler-32 of the weights that the vectors were made with, if they are somebody else's.
    weights: u32,
    texts: Vec<String>,
    /// Without special tokens.
    ids: Vec<Vec<u32>>,
    /// Base64 of RGB bytes of the model's size.
    images: Vec<String>,
    text: Vec<Vec<f32>>,
    image: Vec<Vec<f32>>,
}

/// Bounds of the cosine and of the centred cosine.
const BOUNDS: [(&str, f64, f64); 3] = [("f32", 0.9999, 0.999), ("bf16", 0.999, 0.99), ("f16", 0.9999, 0.999)];

fn read(path: &Path) -> Expected {
    let json = std::fs::read_to_string(path).expect("make_goldens.py made the expectations");
    serde_json::from_str(&json).expect("the expectations are valid")
}

fn payloads(expected: &Expected, model: &Loaded) -> (Vec<EmbedPayload>, Vec<EmbedPayload>) {
    let decode = |image: &String| BASE64_STANDARD.decode(image).expect("valid base64");
    let texts = expected.texts.iter().map(|line| text(line)).collect();
    (
        texts,
        expected.images.iter().map(|image| model.image(decode(image))).collect(),
    )
}

fn check(name: &str, directory: &Path, expected: &Expected) {
    for (dtype, cosine, centred) in BOUNDS {
        let mut model = load(directory, dtype, "{}").unwrap_or_else(|error| panic!("{name} {dtype}: {error}"));
        let (texts, images) = payloads(expected, &model);
        for (kind, inputs, reference) in [("text", texts, &expected.text), ("image", images, &expected.image)] {
            if inputs.is_empty() {
                continue;
            }
            let made = model.vectors(&inputs);
            let (plain, apart) = (lowest_cosine(&made, reference), lowest_centred_cosine(&made, reference));
            println!("{name:12} {dtype:4} {kind:5} cosine {plain:.6} centred {apart:.6}");
            assert!(plain >= cosine, "{name} {dtype} {kind}: cosine {plain}");
            assert!(apart >= centred, "{name} {dtype} {kind}: centred cosine {apart}");
        }
    }
    check_ids(name, directory, expected);
    check_batches(name, directory, expected);
}

/// Token ids give what their text gives, cut the same way.
fn check_ids(name: &str, directory: &Path, expected: &Expected) {
    if expected.ids.is_empty() {
        return;
    }
    let mut model = load(directory, "f32", "{}").expect("loads");
    let ids: Vec<_> = expected
        .ids
        .iter()
        .map(|ids| EmbedPayload::TokenIds(ids.clone()))
        .collect();
    let lowest = lowest_cosine(&model.vectors(&ids), &expected.text);
    assert!(lowest >= 0.9999, "{name} token ids: cosine {lowest}");
}

/// Neither the order of a batch nor its company changes a vector.
fn check_batches(name: &str, directory: &Path, expected: &Expected) {
    let mut model = load(directory, "f32", "{}").expect("loads");
    let (texts, images) = payloads(expected, &model);
    let mixed: Vec<_> = interleave(&texts, &images);
    let together = model.vectors(&mixed);
    let reversed: Vec<_> = mixed.iter().rev().cloned().collect();
    let mut backwards = model.vectors(&reversed);
    backwards.reverse();
    let alone: Vec<_> = mixed
        .iter()
        .flat_map(|input| model.vectors(std::slice::from_ref(input)))
        .collect();
    for (how, others) in [("reversed", backwards), ("alone", alone)] {
        let lowest = lowest_cosine(&others, &together);
        assert!(lowest >= 0.999_999, "{name} {how}: cosine {lowest}");
    }
}

fn interleave(a: &[EmbedPayload], b: &[EmbedPayload]) -> Vec<EmbedPayload> {
    let longest = a.len().max(b.len());
    (0..longest)
        .flat_map(|index| [a.get(index), b.get(index)])
        .flatten()
        .cloned()
        .collect()
}

fn check_tiny(name: &str) {
    let directory = golden(name);
    check(name, &directory, &read(&directory.join("expected.json")));
}

#[test]
fn clip() {
    check_tiny("clip");
}

#[test]
fn clip_legacy() {
    check_tiny("clip-legacy");
}

#[test]
fn clip_towers_alone() {
    check_tiny("clip-text");
    check_tiny("clip-vision");
}

#[test]
fn siglip() {
    check_tiny("siglip");
    check_tiny("siglip2");
}

#[test]
fn bert() {
    check_tiny("bert-mean");
    check_tiny("bert-cls");
    check_tiny("bert-dense");
}

#[test]
fn relatives_of_bert() {
    check_tiny("roberta");
    check_tiny("distilbert");
}

#[test]
fn shapes_clip() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/shapes-clip");
    let expected = read(&golden("shapes-clip.json"));
    let weights = std::fs::read(directory.join("model.safetensors")).expect("the bundled weights");
    assert_eq!(
        adler32(&weights),
        expected.weights,
        "the weights have changed: make_goldens.py --model models/shapes-clip --out \
         plugins/candle/tests/golden/shapes-clip.json"
    );
    check("shapes-clip", &directory, &expected);
}

fn adler32(bytes: &[u8]) -> u32 {
    let (a, b) = bytes.iter().fold((1u32, 0u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65521;
        (a, (b + a) % 65521)
    });
    (b << 16) | a
}
