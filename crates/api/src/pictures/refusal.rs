//! Where a request is wrong, in the client's terms, when the model says it in its own.

use std::borrow::Cow;

use sensorium_engine::Error as EngineError;

use crate::error::ApiError;

/// The client's error for one of the engine's about a request for images.
pub(crate) fn in_request(source: EngineError) -> ApiError {
    match &source {
        EngineError::Refused(refused) => ApiError::Engine {
            param: Some(Cow::Borrowed(name(&refused.field))),
            source,
        },
        _ => source.into(),
    }
}

/// What the client calls a field of `plugin.proto`.
fn name(field: &str) -> &'static str {
    match field {
        "negative_prompt" => "negative_prompt",
        "width" | "height" => "size",
        "steps" => "steps",
        "guidance_scale" => "guidance_scale",
        "seeds" => "n",
        "scheduler" => "scheduler",
        "image" => "image",
        "mask" => "mask",
        "strength" => "strength",
        "previews" => "partial_images",
        "loras" => "loras",
        _ => "prompt",
    }
}
