//! Tiny pipelines of each architecture against diffusers and transformers on the same files, from the same noise (made by
//! `make_goldens.py`).

mod support;

use std::collections::HashMap;

use sensorium_torch::{
    noise::{Stream, normal},
    pipeline::{Denoising, ImageTask, InitTask, Pipeline, Seeds, from_mask, from_rgb},
    schedulers::SchedulerKind,
    unet::{Added, UnetInput},
};
use support::{cosine, load, load_with_loras, psnr, relative_error, tensors};
use tch::{Kind, Tensor};

const PROMPT: &str = "a red circle above a blue square";
const NEGATIVE: &str = "two small green triangles";
const SIDE: i64 = 64;
/// Least cosine of a network's output, and least peak signal-to-noise ratio of an image in dB.
const COSINE: f64 = 0.9999;
const PSNR: f64 = 40.0;

type Expected = HashMap<String, Tensor>;

fn long() -> String {
    "seven wizards quietly box with jugs of liquor and more and more of it ".repeat(4)
}

fn check(name: &str, what: &str, made: &Tensor, expected: &Tensor) {
    assert_eq!(made.size(), expected.size(), "{name} {what}");
    let cosine = cosine(made, expected);
    println!(
        "{name:8} {what:28} cosine {cosine:.7} error {:.1e}",
        relative_error(made, expected)
    );
    assert!(cosine >= COSINE, "{name} {what}: cosine {cosine}");
}

/// One pass of each network.
fn check_networks(name: &str, pipeline: &Pipeline, expected: &Expected) {
    for (at, encoder) in pipeline.text_encoders().enumerate() {
        let component = ["text_encoder", "text_encoder_2"][at];
        let read = [PROMPT, &long(), ""].map(|text| pipeline.tokenize(text).expect("tokens").swap_remove(at));
        let ids = Tensor::cat(&read, 0);
        assert_eq!(ids, expected[&format!("{component}.ids")], "{name} {component}");
        let made = encoder.forward(&ids);
        let every_fifth = |x: &Tensor| x.slice(1, 0, None, 5);
        check(
            name,
            &format!("{component}.last"),
            &every_fifth(&made.last),
            &expected[&format!("{component}.last")],
        );
        let penultimate = &expected[&format!("{component}.penultimate")];
        check(
            name,
            &format!("{component}.penultimate"),
            &every_fifth(&made.penultimate),
            penultimate,
        );
        if let (Some(pooled), Some(expected)) = (&made.pooled, expected.get(&format!("{component}.pooled"))) {
            check(name, &format!("{component}.pooled"), pooled, expected);
        }
    }
    check_unet(name, pipeline, expected);
    let draw = |seed, shape: &[i64]| normal(seed, Stream::Initial, shape);
    let (mean, std) = pipeline.vae().encode(&draw(5, &[3, 32, 48]).clamp(-1.0, 1.0));
    check(name, "vae.mean", &mean, &expected["vae.mean"]);
    check(name, "vae.std", &std, &expected["vae.std"]);
    let channels = expected["vae.mean"].size()[1];
    check(
        name,
        "vae.decoded",
        &pipeline.vae().decode(&draw(6, &[channels, 5, 4])),
        &expected["vae.decoded"],
    );
}

fn check_unet(name: &str, pipeline: &Pipeline, expected: &Expected) {
    let output = &expected["unet.output"];
    // The reference drew both rows at once.
    let draw = |seed, shape: &[i64]| normal(seed, Stream::Initial, shape).squeeze_dim(0);
    let (height, width) = (output.size()[2], output.size()[3]);
    let channels = if name == "inpaint" { 9 } else { 4 };
    let context = match name {
        "sdxl" => 40,
        _ => 16,
    };
    let pooled = draw(3, &[2, 20]);
    let sizes = Tensor::from_slice(&[128f32, 96.0, 0.0, 0.0, 128.0, 96.0, 64.0, 64.0, 8.0, 4.0, 128.0, 128.0]);
    let guidance = (name == "lcm").then(|| draw(4, &[2, 32]));
    let made = pipeline.unet().forward(&UnetInput {
        sample: &draw(1, &[2, channels, height, width]),
        timesteps: &Tensor::from_slice(&[981f32, 17.5]),
        context: &draw(2, &[2, 77, context]),
        added: (name == "sdxl").then_some(Added {
            pooled: &pooled,
            sizes: &sizes.view([2, 6]),
        }),
        guidance: guidance.as_ref(),
    });
    check(name, "unet.output", &made, output);
}

/// The task that `make_goldens.py` gives the reference unless it says otherwise.
fn task(pipeline: &Pipeline) -> ImageTask {
    ImageTask {
        prompt: PROMPT.to_owned(),
        negative_prompt: None,
        height: SIDE,
        width: SIDE,
        steps: 20,
        guidance_scale: f64::from(pipeline.defaults().0),
        scheduler: pipeline.scheduler(),
        init: None,
        loras: Vec::new(),
        truncate: true,
    }
}

fn init(expected: &Expected, strength: f64, masked: bool) -> InitTask {
    let bytes = |name: &str| Vec::<u8>::try_from(expected[name].flatten(0, -1)).expect("bytes");
    let mask = masked.then(|| from_mask(&bytes("input.mask"), SIDE, SIDE).expect("a mask"));
    InitTask {
        pixels: from_rgb(&bytes("input.image"), SIDE, SIDE).expect("an image"),
        mask,
        strength,
    }
}

fn finish(pipeline: &Pipeline, mut denoising: Denoising) -> (Tensor, Tensor) {
    while !denoising.is_done() {
        pipeline.advance(&mut [&mut denoising], &|| {});
    }
    let latents: Vec<Tensor> = (0..denoising.images()).map(|image| denoising.latents(image)).collect();
    let latents = Tensor::cat(&latents, 0);
    (pipeline.decode(&latents), latents)
}

fn check_image(name: &str, kind: &str, pipeline: &Pipeline, task: &ImageTask, seeds: &[u64], expected: &Expected) {
    let denoising = pipeline
        .begin(task, Box::new(Seeds(seeds.to_vec())))
        .expect("a good task");
    let (pixels, latents) = finish(pipeline, denoising);
    let (bytes, error) = (
        &expected[&format!("image.{kind}")],
        relative_error(&latents, &expected[&format!("latents.{kind}")]),
    );
    let psnr = psnr(&pixels, bytes);
    let spread = bytes.to_kind(Kind::Float).std(true);
    println!(
        "{name:8} image {kind:22} psnr {psnr:6.1} dB, latents apart {error:.1e}, spread {:.0}",
        support::number(&spread)
    );
    assert!(psnr >= PSNR, "{name} {kind}: {psnr} dB");
}

fn with(task: ImageTask, change: impl FnOnce(&mut ImageTask)) -> ImageTask {
    let mut task = task;
    change(&mut task);
    task
}

#[test]
fn stable_diffusion_1() {
    let (pipeline, expected) = (load("sd15"), tensors("sd15/expected.safetensors"));
    check_networks("sd15", &pipeline, &expected);
    let base = || task(&pipeline);
    let image =
        |kind: &str, task: ImageTask, seeds: &[u64]| check_image("sd15", kind, &pipeline, &task, seeds, &expected);
    image(
        "text",
        with(base(), |task| task.negative_prompt = Some(NEGATIVE.to_owned())),
        &[7, 8],
    );
    image("text-unguided", with(base(), |task| task.guidance_scale = 1.0), &[7]);
    for (kind, scheduler, seeds) in [
        ("text-ancestral", SchedulerKind::EulerAncestral, &[7, 8][..]),
        ("text-heun", SchedulerKind::Heun, &[7]),
        ("text-ddim", SchedulerKind::Ddim, &[7]),
        ("text-dpm", SchedulerKind::DpmSolverMultistep, &[7]),
    ] {
        image(kind, with(base(), |task| task.scheduler = scheduler), seeds);
    }
    let from = |strength, masked, scheduler| {
        with(base(), |task| {
            task.init = Some(init(&expected, strength, masked));
            task.scheduler = scheduler;
        })
    };
    image("image", from(0.6, false, SchedulerKind::Pndm), &[7]);
    image("image-heun", from(0.6, false, SchedulerKind::Heun), &[7]);
    image("inpaint", from(1.0, true, SchedulerKind::Pndm), &[7]);
    image("inpaint-part", from(0.6, true, SchedulerKind::Euler), &[7]);
}

#[test]
fn stable_diffusion_2() {
    let (pipeline, expected) = (load("sd21"), tensors("sd21/expected.safetensors"));
    check_networks("sd21", &pipeline, &expected);
    let base = || task(&pipeline);
    let text = with(base(), |task| task.negative_prompt = Some(NEGATIVE.to_owned()));
    check_image("sd21", "text", &pipeline, &text, &[7], &expected);
    let image = with(base(), |task| task.init = Some(init(&expected, 0.6, false)));
    check_image("sd21", "image", &pipeline, &image, &[7], &expected);
}

#[test]
fn inpainting_with_nine_channels() {
    let (pipeline, expected) = (load("inpaint"), tensors("inpaint/expected.safetensors"));
    check_networks("inpaint", &pipeline, &expected);
    for (kind, strength) in [("inpaint", 1.0), ("inpaint-part", 0.6)] {
        let task = with(task(&pipeline), |task| {
            task.init = Some(init(&expected, strength, true))
        });
        check_image("inpaint", kind, &pipeline, &task, &[7], &expected);
    }
}

#[test]
fn stable_diffusion_xl() {
    let (pipeline, expected) = (load("sdxl"), tensors("sdxl/expected.safetensors"));
    check_networks("sdxl", &pipeline, &expected);
    let base = || task(&pipeline);
    let image = |kind: &str, task: ImageTask| check_image("sdxl", kind, &pipeline, &task, &[7], &expected);
    image("text", base());
    image(
        "text-negative",
        with(base(), |task| task.negative_prompt = Some(NEGATIVE.to_owned())),
    );
    image(
        "image",
        with(base(), |task| task.init = Some(init(&expected, 0.6, false))),
    );
    image(
        "inpaint",
        with(base(), |task| task.init = Some(init(&expected, 0.6, true))),
    );
}

#[test]
fn latent_consistency() {
    let (pipeline, expected) = (load("lcm"), tensors("lcm/expected.safetensors"));
    check_networks("lcm", &pipeline, &expected);
    let text = with(task(&pipeline), |task| task.steps = 4);
    check_image("lcm", "text", &pipeline, &text, &[7], &expected);
}

#[test]
fn adapters_of_both_kinds_are_what_merging_them_gives() {
    let expected = tensors("sd15/expected.safetensors");
    let loras = [("style", "style.safetensors"), ("kohya", "style-kohya.safetensors")];
    let pipeline = load_with_loras("sd15", &loras);
    for (at, (name, _)) in loras.iter().enumerate() {
        let task = with(task(&pipeline), |task| task.loras = vec![(at, 0.7)]);
        check_image(name, "text-lora", &pipeline, &task, &[7], &expected);
    }
    // And without them the model is what it was.
    let plain = with(task(&pipeline), |task| task.negative_prompt = Some(NEGATIVE.to_owned()));
    check_image("none", "text", &pipeline, &plain, &[7, 8], &expected);
}
