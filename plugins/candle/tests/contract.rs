//! The executable keeps the contract with its host, with a model of text and images and with one of each alone.

use std::path::Path;

use sensorium_contract::{LoadRequest, conformance};

async fn check(model: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(model)
        .canonicalize()
        .expect("the model is there");
    let mut options = conformance::Options::new(env!("CARGO_BIN_EXE_sensorium-candle"));
    options.load = LoadRequest {
        path: Some(path),
        threads: Some(1),
        ..LoadRequest::new(model)
    };
    let report = conformance::run(&options).await;
    println!("{model}\n{report}");
    assert!(report.is_success(), "{model}: {report}");
}

#[tokio::test]
async fn shapes_clip_keeps_the_contract() {
    check("../../models/shapes-clip").await;
}

#[tokio::test]
async fn a_text_embedder_keeps_the_contract() {
    check("tests/golden/bert-dense").await;
}

#[tokio::test]
async fn a_vision_tower_keeps_the_contract() {
    check("tests/golden/clip-vision").await;
}
