//! The executable keeps the contract with its host, with pipelines of each family.

use std::path::Path;

use sensorium_contract::{LoadRequest, conformance};

async fn check(model: &str, options: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(model);
    let mut run = conformance::Options::new(env!("CARGO_BIN_EXE_sensorium-torch"));
    run.load = LoadRequest {
        path: Some(path.canonicalize().expect("the model is there")),
        threads: Some(1),
        options: serde_json::from_str(options).expect("valid JSON"),
        ..LoadRequest::new(model)
    };
    let report = conformance::run(&run).await;
    println!("{model}\n{report}");
    assert!(report.is_success(), "{model}: {report}");
}

#[tokio::test]
async fn stable_diffusion_1_keeps_the_contract() {
    check("sd15", r#"{"loras": {"style": "style.safetensors"}}"#).await;
}

#[tokio::test]
async fn stable_diffusion_xl_keeps_the_contract() {
    check("sdxl", "{}").await;
}

#[tokio::test]
async fn inpainting_keeps_the_contract_when_calls_share_passes() {
    check("inpaint", r#"{"images_per_pass": 4}"#).await;
}

#[tokio::test]
async fn latent_consistency_keeps_the_contract() {
    check("lcm", "{}").await;
}
