//! What requests for images may hold, and what is wrong with them.

use serde_json::json;

use super::*;
use crate::wire::images::output::FileFormat;
use crate::wire::input::ImageRef;

fn limits() -> Limits {
    Limits::default()
}

fn with(mut body: Value, more: Value) -> Vec<u8> {
    for (name, value) in more.as_object().cloned().unwrap_or_default() {
        body[name] = value;
    }
    body.to_string().into_bytes()
}

fn generation(more: Value) -> Result<ImagesCall, ApiError> {
    ImagesCall::generation(&with(json!({"model": "m", "prompt": "a star"}), more), &limits())
}

fn edit(more: Value) -> Result<ImagesCall, ApiError> {
    let body = json!({"model": "m", "prompt": "a star", "image": "data:image/png;base64,AAAA"});
    ImagesCall::edit(&with(body, more), &limits())
}

fn variation(more: Value) -> Result<ImagesCall, ApiError> {
    let body = json!({"model": "m", "image": "data:image/png;base64,AAAA"});
    ImagesCall::variation(&with(body, more), &limits())
}

/// The parameter that is wrong, and what is wrong with it.
fn wrong(result: Result<ImagesCall, ApiError>) -> (String, String) {
    let body = result.unwrap_err().body().error;
    (body.param.unwrap_or_default(), body.message)
}

#[test]
fn what_is_not_said_is_left_to_the_model() {
    let call = generation(json!({})).unwrap();
    assert_eq!(
        call.asked,
        Asked {
            n: 1,
            ..Asked::default()
        }
    );
    assert_eq!(
        (call.output.format, call.output.quality, call.output.link),
        (FileFormat::Png, 100, false)
    );
    assert_eq!(call.delivery, Delivery::default());
    assert!(call.ignored.is_empty() && call.source.is_none());
}

#[test]
fn everything_can_be_said() {
    let call = edit(json!({
        "n": 2, "best_of": 4, "size": "64x32", "seed": u64::MAX, "steps": 7, "guidance_scale": 3.5,
        "negative_prompt": "blur", "scheduler": "DDIMScheduler", "strength": 0.5, "truncate": false,
        "loras": ["ink", {"name": "paper", "weight": -0.5}], "response_format": "url", "output_format": "jpeg",
        "output_compression": 40, "mask": {"image_url": "https://example.com/mask.png"},
        "quality": "high", "style": "vivid", "moderation": "low", "user": "u", "background": "opaque",
        "input_fidelity": "low", "stream": false,
    }))
    .unwrap();
    assert_eq!(call.ignored, ["background", "moderation", "quality", "style", "user"]);
    let asked = &call.asked;
    assert_eq!((asked.n, asked.candidates(), asked.size), (2, 4, Some((64, 32))));
    assert_eq!(
        (asked.seed, asked.steps, asked.truncate),
        (Some(u64::MAX), Some(7), Some(false))
    );
    assert_eq!((asked.guidance_scale, asked.strength), (Some(3.5), Some(0.5)));
    assert_eq!(asked.loras.len(), 2);
    assert_eq!((asked.loras[0].weight, asked.loras[1].weight), (1.0, -0.5));
    assert_eq!(
        (call.output.format, call.output.quality, call.output.link),
        (FileFormat::Jpeg, 40, true)
    );
    let mask = call.source.unwrap().mask;
    assert_eq!(mask, Some(ImageRef::Reference("https://example.com/mask.png".into())));
    let loras = generation(json!({"loras": {"ink": 0.5}})).unwrap().asked.loras;
    assert_eq!((loras[0].name.as_str(), loras[0].weight), ("ink", 0.5));
}

#[test]
fn images_come_in_many_forms() {
    for (body, expected) in [
        (json!({"image": null, "images": [{"image_url": "u"}]}), "u"),
        (json!({"image": null, "images": [{"image_url": {"url": "v"}}]}), "v"),
        (json!({"image": ["w"]}), "w"),
    ] {
        let source = edit(body).unwrap().source.unwrap();
        assert_eq!(source.image, ImageRef::Reference(expected.into()));
    }
}

#[test]
fn a_wrong_value_is_named() {
    let check = |more: Value, param: &str, part: &str| {
        let (named, message) = wrong(generation(more.clone()));
        assert_eq!(named, param, "{more}: {message}");
        assert!(message.contains(part), "{message}");
    };
    check(json!({"model": null}), "model", "missing");
    check(json!({"prompt": ""}), "prompt", "empty");
    check(json!({"n": 0}), "n", "1 to 10");
    check(json!({"n": 11}), "n", "1 to 10");
    check(json!({"n": 1.5}), "n", "whole");
    check(json!({"n": 3, "best_of": 2}), "best_of", "at least n");
    check(json!({"best_of": 65}), "best_of", "64");
    for size in [
        "512",
        "0x8",
        "8x",
        "+8x8",
        "512X512",
        "99999x8",
        "512x512x3",
        "-1x8",
        "large",
        "",
    ] {
        check(json!({"size": size}), "size", "WIDTHxHEIGHT");
    }
    check(json!({"seed": -1}), "seed", "whole");
    check(json!({"steps": 0}), "steps", "1 to");
    check(json!({"steps": 1e9}), "steps", "whole");
    check(json!({"guidance_scale": "7"}), "guidance_scale", "number");
    check(json!({"guidance_scale": -1}), "guidance_scale", "0 to 100");
    check(json!({"loras": 1}), "loras", "list");
    check(
        json!({"loras": [{"name": "a", "weight": "b"}]}),
        "loras[0].weight",
        "number",
    );
    check(json!({"loras": ["a", "a"]}), "loras[1]", "same name");
    check(json!({"loras": vec!["a"; 17]}), "loras", "at most 16");
    check(json!({"response_format": "file"}), "response_format", "url");
    check(json!({"output_format": "gif"}), "output_format", "webp");
    check(json!({"output_compression": 101}), "output_compression", "100");
    check(json!({"output_compression": 50}), "output_compression", "jpeg");
    check(
        json!({"output_format": "webp", "output_compression": 50}),
        "output_compression",
        "webp",
    );
    check(json!({"background": "transparent"}), "background", "opaque");
    check(json!({"background": "blue"}), "background", "opaque");
    check(json!({"partial_images": 2}), "partial_images", "stream");
    check(json!({"partial_images": 4, "stream": true}), "partial_images", "0 to 3");
    check(
        json!({"stream": true, "response_format": "url"}),
        "response_format",
        "events",
    );
    check(
        json!({"stream": true, "partial_images": 1, "best_of": 2}),
        "partial_images",
        "best_of",
    );
    check(json!({"strength": 0.5}), "strength", "edits");
    check(json!({"image": "x"}), "image", "edits");
    check(json!({"cfg_scale": 7}), "cfg_scale", "guidance_scale");
}

#[test]
fn a_wrong_image_is_named() {
    let check = |result: Result<ImagesCall, ApiError>, param: &str, part: &str| {
        let (named, message) = wrong(result);
        assert_eq!(named, param, "{message}");
        assert!(message.contains(part), "{message}");
    };
    check(edit(json!({"image": null})), "image", "missing");
    check(edit(json!({"image": ""})), "image", "names no image");
    check(edit(json!({"image": 7})), "image", "number");
    check(edit(json!({"image": vec!["u"; 17]})), "image", "17 images");
    check(
        edit(json!({"images": [{"file_id": "f"}]})),
        "images[0].file_id",
        "keeps no files",
    );
    check(edit(json!({"images": [{}]})), "images[0].image_url", "missing");
    check(edit(json!({"mask": "A".repeat(30_000_000)})), "mask", "larger than");
    check(edit(json!({"strength": 0})), "strength", "over 0");
    check(edit(json!({"input_fidelity": "high"})), "input_fidelity", "strength");
    check(variation(json!({"prompt": "x"})), "prompt", "edits");
    check(variation(json!({"mask": "x"})), "mask", "edits");
    check(variation(json!({"stream": true})), "stream", "whole");
    check(variation(json!({"best_of": 2})), "best_of", "no prompt");
    assert!(variation(json!({"strength": 0.3, "n": 2})).is_ok());
}
