//! Requests for images as the OpenAPI document shows them. Nothing is parsed into these types.
#![allow(dead_code, reason = "these types are read by utoipa's derive alone")]

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// What is to be seen, and how it is made. What a model doesn't honour is refused by name.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"model": "shapes-diffusion", "prompt": "a red circle above a blue square"}))]
pub(crate) struct ImageGenerationRequest {
    /// Id or alias of a model that makes images.
    #[schema(example = "shapes-diffusion")]
    pub(crate) model: String,
    /// What is to be seen.
    #[schema(example = "a red circle above a blue square")]
    pub(crate) prompt: String,
    #[serde(flatten)]
    pub(crate) made: HowMade,
    #[serde(flatten)]
    pub(crate) delivered: HowDelivered,
    #[serde(flatten)]
    pub(crate) streamed: HowStreamed,
}

/// An image, and what is to become of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "model": "shapes-diffusion", "prompt": "a green star", "images": [{"image_url": "data:image/png;base64,iVBORw0KGgo…"}]
}))]
pub(crate) struct ImageEditRequest {
    /// Id or alias of a model that makes images from images.
    #[schema(example = "shapes-diffusion")]
    pub(crate) model: String,
    /// What is to be seen.
    #[schema(example = "a green star")]
    pub(crate) prompt: String,
    /// The image: one, as `{"image_url": URL | data URI}` or the reference itself. Where it is transparent it is painted
    /// anew, if there is no mask.
    #[schema(value_type = Option<Vec<ImageReference>>, max_items = 1)]
    pub(crate) images: Option<Value>,
    /// The same as one reference.
    pub(crate) image: Option<String>,
    /// What of the image is painted anew: the transparent parts of a file of the same size; or, of a file without
    /// transparency, the white ones.
    #[schema(value_type = Option<ImageReference>)]
    pub(crate) mask: Option<Value>,
    /// How much of the image is noised away, over 0 to 1. By default the model's own.
    #[schema(example = 0.8, maximum = 1)]
    pub(crate) strength: Option<f32>,
    /// Only `low`; `strength` says it better.
    pub(crate) input_fidelity: Option<String>,
    #[serde(flatten)]
    pub(crate) made: HowMade,
    #[serde(flatten)]
    pub(crate) delivered: HowDelivered,
    #[serde(flatten)]
    pub(crate) streamed: HowStreamed,
}

/// A form with the same fields.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImageEditForm {
    /// Id or alias of a model that makes images from images.
    pub(crate) model: String,
    /// What is to be seen.
    pub(crate) prompt: String,
    /// The image's file, or a text with its URL; also called `image[]`. One.
    #[schema(value_type = String, format = Binary)]
    pub(crate) image: String,
    /// The mask's file.
    #[schema(value_type = Option<String>, format = Binary)]
    pub(crate) mask: Option<String>,
    /// As in the JSON request.
    pub(crate) strength: Option<f32>,
    #[serde(flatten)]
    pub(crate) made: HowMade,
    #[serde(flatten)]
    pub(crate) delivered: HowDelivered,
    #[serde(flatten)]
    pub(crate) streamed: HowStreamed,
}

/// An image of which others are made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"model": "shapes-diffusion", "image": "data:image/png;base64,iVBORw0KGgo…", "n": 2}))]
pub(crate) struct ImageVariationRequest {
    /// Id or alias of a model that makes images from images.
    #[schema(example = "shapes-diffusion")]
    pub(crate) model: String,
    /// The image: URL, data: URI or base64.
    pub(crate) image: String,
    /// How much of the image is noised away, over 0 to 1. By default the model's own.
    #[schema(example = 0.6, maximum = 1)]
    pub(crate) strength: Option<f32>,
    #[serde(flatten)]
    pub(crate) made: HowMade,
    #[serde(flatten)]
    pub(crate) delivered: HowDelivered,
}

/// A form with the same fields.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImageVariationForm {
    /// Id or alias of a model that makes images from images.
    pub(crate) model: String,
    /// The image's file, or a text with its URL.
    #[schema(value_type = String, format = Binary)]
    pub(crate) image: String,
    /// As in the JSON request.
    pub(crate) strength: Option<f32>,
    #[serde(flatten)]
    pub(crate) made: HowMade,
    #[serde(flatten)]
    pub(crate) delivered: HowDelivered,
}

/// Where an image is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImageReference {
    /// A URL, a data: URI or base64.
    pub(crate) image_url: String,
}

/// How many, how large, and diffusion's own knobs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HowMade {
    /// Images that are wanted.
    #[schema(minimum = 1, maximum = 10, example = 1)]
    pub(crate) n: Option<u32>,
    /// Make so many and hand out the best `n`, as the server's scoring model ranks them against the prompt; of a long one
    /// it reads as much as its own context holds. Not for variations.
    #[schema(minimum = 1, maximum = 64)]
    pub(crate) best_of: Option<u32>,
    /// `auto`, or width and height in pixels as the model allows them. By default the model's own; of an image, its
    /// shape in about as many pixels.
    #[schema(example = "128x128")]
    pub(crate) size: Option<String>,
    /// The first image's seed; each further one has the next number. Random by default, and always in the reply.
    pub(crate) seed: Option<u64>,
    /// Denoise steps.
    #[schema(minimum = 1, example = 20)]
    pub(crate) steps: Option<u32>,
    /// Weight of the prompt; 1 is none.
    #[schema(minimum = 0, maximum = 100, example = 7.5)]
    pub(crate) guidance_scale: Option<f32>,
    /// What is not to be seen.
    pub(crate) negative_prompt: Option<String>,
    /// One of the model's schedulers, named as of diffusers' classes.
    #[schema(example = "EulerDiscreteScheduler")]
    pub(crate) scheduler: Option<String>,
    /// LoRAs of the model to mix in: `{"name", "weight"}` each, or names.
    #[schema(value_type = Option<Vec<Object>>, max_items = 16)]
    pub(crate) loras: Option<Value>,
    /// Prompts longer than the model's context: cut them (true) or refuse them (false). By default the registry's setting.
    pub(crate) truncate: Option<bool>,
}

/// As what files images are handed out.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HowDelivered {
    /// `b64_json` (the default), or `url`: a link to this server that lasts for a while.
    #[schema(example = "b64_json")]
    pub(crate) response_format: Option<String>,
    /// `png` (the default; prompt, seed and parameters are in its text chunk `parameters`), `jpeg`, or `webp`, which is
    /// lossless here.
    #[schema(example = "png")]
    pub(crate) output_format: Option<String>,
    /// Quality of a jpeg.
    #[schema(minimum = 0, maximum = 100)]
    pub(crate) output_compression: Option<u32>,
    /// `auto` or `opaque`; nothing here is transparent.
    pub(crate) background: Option<String>,
}

/// When images are handed out.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HowStreamed {
    /// As events, while they are made.
    pub(crate) stream: Option<bool>,
    /// With `stream`: previews of each image, evenly spaced over its steps.
    #[schema(minimum = 0, maximum = 3)]
    pub(crate) partial_images: Option<u32>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use utoipa::PartialSchema;

    use super::*;
    use crate::config::Limits;
    use crate::error::ApiError;
    use crate::wire::images::request::ImagesCall;

    fn properties<T: PartialSchema>() -> Vec<String> {
        let schema = serde_json::to_value(T::schema()).unwrap();
        let mut parts = vec![schema.clone()];
        parts.extend(schema["allOf"].as_array().cloned().unwrap_or_default());
        let of_part = |part: &Value| -> Vec<String> {
            let properties = part["properties"].as_object();
            properties.map(|map| map.keys().cloned().collect()).unwrap_or_default()
        };
        parts.iter().flat_map(of_part).collect()
    }

    /// A value that each documented field may have.
    fn value(name: &str) -> Value {
        match name {
            "model" | "prompt" | "image" | "mask" | "negative_prompt" | "scheduler" => json!("x"),
            "images" => json!([{"image_url": "x"}]),
            "strength" => json!(0.5),
            "input_fidelity" => json!("low"),
            "n" | "best_of" | "seed" | "steps" | "guidance_scale" => json!(1),
            "size" => json!("64x64"),
            "loras" => json!(["ink"]),
            "truncate" | "stream" => json!(true),
            "response_format" => json!("url"),
            "output_format" => json!("jpeg"),
            "output_compression" => json!(100),
            "background" => json!("opaque"),
            "partial_images" => json!(0),
            other => panic!("say here what {other} may be"),
        }
    }

    /// Parses bodies with each of the fields that the schema shows.
    fn check<T: PartialSchema>(base: Value, parse: fn(&[u8], &Limits) -> Result<ImagesCall, ApiError>) {
        let names = properties::<T>();
        assert!(names.iter().any(|name| name == "model"), "{names:?}");
        for name in names
            .into_iter()
            .chain(properties::<HowMade>())
            .chain(properties::<HowDelivered>())
        {
            let mut body = base.clone();
            body[&name] = value(&name);
            if name == "images" {
                body["image"] = Value::Null;
            }
            if name == "best_of" && base.get("prompt").is_none() {
                continue;
            }
            let call = parse(body.to_string().as_bytes(), &Limits::default()).unwrap();
            // What asks for no transparency is a hint.
            assert!(call.ignored.iter().all(|name| name == "background"), "{name}");
        }
    }

    #[test]
    fn what_is_documented_is_understood() {
        check::<ImageGenerationRequest>(json!({"model": "m", "prompt": "p"}), ImagesCall::generation);
        check::<ImageEditRequest>(json!({"model": "m", "prompt": "p", "image": "x"}), ImagesCall::edit);
        check::<ImageVariationRequest>(json!({"model": "m", "image": "x"}), ImagesCall::variation);
        assert_eq!(properties::<HowStreamed>(), ["partial_images", "stream"]);
    }
}
