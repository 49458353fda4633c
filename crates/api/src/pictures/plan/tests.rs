//! What a model is asked, and what it can't do.

use sensorium_engine::LoraWeight;

use super::*;

fn model() -> ImageCapabilities {
    use ImageParameter as P;
    ImageCapabilities {
        parameters: vec![
            P::NegativePrompt,
            P::GuidanceScale,
            P::Steps,
            P::Seed,
            P::Scheduler,
            P::Image,
            P::Mask,
            P::Strength,
            P::Previews,
            P::Lora,
        ],
        default_width: 64,
        default_height: 64,
        min_side: 16,
        max_side: 256,
        side_multiple: 8,
        max_pixels: 128 * 128,
        max_pixel_steps: 64 * 64 * 80,
        default_steps: 20,
        max_steps: 100,
        default_guidance_scale: Some(7.5),
        default_strength: Some(0.8),
        schedulers: vec!["A".into(), "B".into()],
        loras: vec!["ink".into()],
        max_images: 4,
        context_length: 77,
    }
}

fn asked() -> Asked {
    Asked {
        n: 1,
        ..Asked::default()
    }
}

fn param(result: Result<(), ApiError>) -> String {
    result.unwrap_err().body().error.param.unwrap()
}

#[test]
fn what_the_model_does_not_honour_is_named() {
    let everything = Asked {
        seed: Some(1),
        steps: Some(4),
        guidance_scale: Some(1.0),
        negative_prompt: Some("blur".into()),
        scheduler: Some("B".into()),
        strength: Some(0.5),
        loras: vec![LoraWeight {
            name: "ink".into(),
            weight: 1.0,
        }],
        ..asked()
    };
    assert!(check_asked(&model(), &everything, 3).is_ok());
    use ImageParameter as P;
    for (parameter, name) in [
        (P::NegativePrompt, "negative_prompt"),
        (P::GuidanceScale, "guidance_scale"),
        (P::Steps, "steps"),
        (P::Seed, "seed"),
        (P::Scheduler, "scheduler"),
        (P::Strength, "strength"),
        (P::Previews, "partial_images"),
        (P::Lora, "loras"),
    ] {
        let mut image = model();
        image.parameters.retain(|listed| *listed != parameter);
        assert_eq!(param(check_asked(&image, &everything, 3)), name);
        assert!(check_asked(&image, &asked(), 0).is_ok(), "{name}");
    }
    let with = |change: fn(&mut Asked)| {
        let mut asked = asked();
        change(&mut asked);
        param(check_asked(&model(), &asked, 0))
    };
    assert_eq!(with(|a| a.steps = Some(101)), "steps");
    assert_eq!(with(|a| a.scheduler = Some("C".into())), "scheduler");
    assert_eq!(with(|a| a.n = 5), "n");
    assert_eq!(with(|a| a.best_of = Some(5)), "best_of");
    assert_eq!(
        with(|a| a.loras.push(LoraWeight {
            name: "oil".into(),
            weight: 1.0
        })),
        "loras[0]"
    );
}

#[test]
fn sizes_are_held_against_the_model() {
    let check = |size, change: fn(&mut Asked), expected: &str| {
        let mut asked = asked();
        change(&mut asked);
        let result = check_size(&model(), &asked, size);
        assert_eq!(
            result.err().and_then(|e| e.body().error.param).unwrap_or_default(),
            expected
        );
    };
    check((64, 64), |_| {}, "");
    check((128, 128), |_| {}, "");
    check((8, 64), |_| {}, "size");
    check((64, 264), |_| {}, "size");
    check((64, 60), |_| {}, "size");
    check((256, 128), |_| {}, "size");
    check((64, 64), |a| a.n = 4, "");
    check((64, 64), |a| (a.n, a.steps) = (4, Some(40)), "n");
    check((64, 64), |a| (a.best_of, a.steps) = (Some(4), Some(40)), "best_of");
    check((64, 64), |a| a.steps = Some(100), "steps");
    check((128, 128), |a| a.steps = Some(40), "steps");
}

#[test]
fn an_image_keeps_its_shape() {
    for (from, to) in [
        ((64, 64), (64, 64)),
        ((640, 640), (64, 64)),
        ((200, 100), (88, 48)),
        ((1, 1), (64, 64)),
        ((10_000, 10), (256, 16)),
    ] {
        assert_eq!(size_like(&model(), from.0, from.1), to, "{from:?}");
    }
}

#[test]
fn each_image_has_a_seed() {
    let asked = Asked {
        seed: Some(u64::MAX),
        best_of: Some(3),
        ..asked()
    };
    let extra = Extra {
        previews: 0,
        truncate: true,
    };
    let made = request(&model(), &asked, "p".into(), (64, 64), None, extra);
    assert_eq!(made.seeds, [u64::MAX, 0, 1]);
    assert_eq!((made.steps, made.guidance_scale), (20, None));
    assert!(random_seed() <= u64::from(u32::MAX));
}
