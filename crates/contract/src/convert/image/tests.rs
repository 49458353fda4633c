//! What survives the round trip, and what is refused.

use super::*;
use crate::{Capabilities, RefusalCode, Refused};

fn wire() -> proto::ImageRequest {
    proto::ImageRequest {
        prompt: "a red circle".into(),
        negative_prompt: "blur".into(),
        width: 16,
        height: 8,
        steps: 20,
        guidance_scale: Some(7.5),
        seeds: vec![0, u64::MAX],
        scheduler: "EulerDiscreteScheduler".into(),
        image: Some(proto::Image {
            width: 16,
            height: 8,
            rgb: vec![3; 16 * 8 * 3].into(),
        }),
        mask: Some(proto::Mask {
            width: 16,
            height: 8,
            plane: vec![255; 16 * 8].into(),
        }),
        strength: Some(0.75),
        previews: 3,
        loras: vec![proto::LoraWeight {
            name: "ink".into(),
            weight: -0.5,
        }],
        truncate: true,
    }
}

fn capabilities() -> proto::Capabilities {
    proto::Capabilities {
        revision: "r1".into(),
        batching: 2,
        max_batch: 4,
        image: Some(image_capabilities()),
        ..Default::default()
    }
}

fn image_capabilities() -> proto::ImageCapabilities {
    proto::ImageCapabilities {
        parameters: (1..=10).collect(),
        default_width: 16,
        default_height: 16,
        min_side: 8,
        max_side: 64,
        side_multiple: 8,
        max_pixels: 64 * 32,
        max_pixel_steps: 64 * 32 * 50,
        default_steps: 20,
        max_steps: 50,
        default_guidance_scale: Some(7.5),
        default_strength: Some(0.8),
        schedulers: vec!["PNDMScheduler".into(), "EulerDiscreteScheduler".into()],
        loras: vec!["ink".into()],
        max_images: 4,
        context_length: 77,
    }
}

#[test]
fn a_request_survives_the_round_trip() {
    let request = ImageRequest::try_from(wire()).unwrap();
    assert_eq!(proto::ImageRequest::from(request), wire());
    let plain = proto::ImageRequest {
        image: None,
        mask: None,
        strength: None,
        negative_prompt: String::new(),
        scheduler: String::new(),
        ..wire()
    };
    let request = ImageRequest::try_from(plain.clone()).unwrap();
    assert_eq!(
        (&request.init, &request.negative_prompt, &request.scheduler),
        (&None, &None, &None)
    );
    assert_eq!(proto::ImageRequest::from(request), plain);
}

#[test]
fn events_survive_the_round_trip() {
    let image = || RgbImage::new(1, 1, vec![1, 2, 3]).unwrap();
    for event in [
        ImageEvent::Started(ImageStarted {
            prompt_tokens: 9,
            truncated: true,
        }),
        ImageEvent::Step(ImageStep { done: 3, total: 20 }),
        ImageEvent::Preview(ImagePreview {
            index: 1,
            number: 2,
            image: image(),
        }),
        ImageEvent::Image(ImageDone {
            index: 1,
            image: image(),
        }),
        ImageEvent::Finished,
        ImageEvent::Refused(Refused {
            code: RefusalCode::ContextLength,
            message: "too long".into(),
            field: "prompt".into(),
        }),
    ] {
        assert_eq!(image_event_from_wire(event.clone().into()), Ok(Some(event)));
    }
    assert_eq!(image_event_from_wire(proto::ImageEvent::default()), Ok(None));
}

#[test]
fn capabilities_survive_the_round_trip() {
    let image = Capabilities::try_from(capabilities()).unwrap().image.unwrap();
    assert_eq!(image.parameters.len(), 10);
    assert_eq!(proto::ImageCapabilities::from(image), image_capabilities());
}

#[test]
fn refuses_what_breaks_the_contract() {
    let check = |field: &str, spoil: fn(&mut proto::ImageRequest)| {
        let mut message = wire();
        spoil(&mut message);
        assert_eq!(ImageRequest::try_from(message).unwrap_err().field, field);
    };
    check("width", |m| m.width = 0);
    check("height", |m| m.height = 16_385);
    check("steps", |m| m.steps = 0);
    check("steps", |m| m.steps = 10_001);
    check("guidance_scale", |m| m.guidance_scale = Some(f32::NAN));
    check("seeds", |m| m.seeds.clear());
    check("seeds", |m| m.seeds = vec![1; 65]);
    check("previews", |m| m.previews = 17);
    check("loras", |m| m.loras[0].weight = f32::INFINITY);
    check("loras", |m| m.loras.push(m.loras[0].clone()));
    check("image", |m| m.image.as_mut().unwrap().rgb = vec![0; 3].into());
    check("image", |m| m.width = 8);
    check("mask", |m| m.mask.as_mut().unwrap().plane = vec![0; 3].into());
    check("mask", |m| {
        m.mask = Some(proto::Mask {
            width: 8,
            height: 8,
            plane: vec![0; 64].into(),
        })
    });
    check("mask", |m| m.image = None);
    check("strength", |m| (m.image, m.mask) = (None, None));
    check("strength", |m| m.strength = Some(0.0));
    check("strength", |m| m.strength = Some(1.5));
    check("strength", |m| m.strength = Some(f32::NAN));
}

#[test]
fn refuses_capabilities_that_break_the_contract() {
    let check = |field: &str, spoil: fn(&mut proto::ImageCapabilities)| {
        let mut message = capabilities();
        spoil(message.image.as_mut().unwrap());
        assert_eq!(Capabilities::try_from(message).unwrap_err().field, field);
    };
    check("image.parameters", |m| m.parameters.push(1));
    check("image.parameters", |m| m.parameters.retain(|&p| p != 6));
    check("image.side_multiple", |m| m.side_multiple = 0);
    check("image.min_side", |m| m.min_side = 12);
    check("image.min_side", |m| m.min_side = 0);
    check("image.max_side", |m| m.max_side = 16_392);
    check("image.default_width", |m| m.default_width = 72);
    check("image.default_height", |m| m.default_height = 20);
    check("image.max_pixels", |m| m.max_pixels = 16);
    check("image.max_pixel_steps", |m| m.max_pixel_steps = 16 * 16 * 19);
    check("image.default_steps", |m| m.default_steps = 0);
    check("image.default_steps", |m| m.default_steps = 51);
    check("image.max_steps", |m| m.max_steps = 10_001);
    check("image.default_guidance_scale", |m| {
        m.default_guidance_scale = Some(f32::NAN)
    });
    check("image.default_strength", |m| m.default_strength = None);
    check("image.default_strength", |m| m.default_strength = Some(0.0));
    check("image.schedulers", |m| m.schedulers.clear());
    check("image.schedulers", |m| m.schedulers.push("PNDMScheduler".into()));
    check("image.loras", |m| m.loras.push(String::new()));
    check("image.loras", |m| m.parameters.retain(|&p| p != 10));
    check("image.max_images", |m| m.max_images = 0);
    check("image.context_length", |m| m.context_length = 0);
}

#[test]
fn refuses_what_the_model_has_not_listed() {
    let request = || ImageRequest::try_from(wire()).unwrap();
    let listed = || ImageCapabilities::from(image_capabilities());
    assert_eq!(listed().check(&request()), Ok(()));
    let check = |field: &str, spoil: fn(&mut ImageCapabilities)| {
        let mut image = listed();
        spoil(&mut image);
        assert_eq!(image.check(&request()).unwrap_err().field, field);
    };
    check("negative_prompt", |c| drop_one(c, ImageParameter::NegativePrompt));
    check("guidance_scale", |c| drop_one(c, ImageParameter::GuidanceScale));
    check("scheduler", |c| drop_one(c, ImageParameter::Scheduler));
    check("image", |c| drop_one(c, ImageParameter::Image));
    check("mask", |c| drop_one(c, ImageParameter::Mask));
    check("strength", |c| drop_one(c, ImageParameter::Strength));
    check("previews", |c| drop_one(c, ImageParameter::Previews));
    check("loras", |c| drop_one(c, ImageParameter::Lora));
    check("scheduler", |c| c.schedulers.truncate(1));
    check("loras", |c| c.loras.clear());
    check("width", |c| c.max_side = 8);
    check("height", |c| c.min_side = 16);
    check("width", |c| c.max_pixels = 100);
    check("steps", |c| c.max_steps = 19);
    check("steps", |c| c.max_pixel_steps = 16 * 8 * 20 * 2 - 1);
    check("seeds", |c| c.max_images = 1);
    let mut fixed = listed();
    drop_one(&mut fixed, ImageParameter::Steps);
    assert_eq!(fixed.check(&request()), Ok(()));
    fixed.default_steps = 4;
    assert_eq!(fixed.check(&request()).unwrap_err().field, "steps");
}

fn drop_one(image: &mut ImageCapabilities, parameter: ImageParameter) {
    image.parameters.retain(|&listed| listed != parameter);
}
