//! Images as they come: OpenAI's events, with what they were made with beside.

use bytes::Bytes;
use sensorium_engine::ImageStep;
use serde::Serialize;
use utoipa::ToSchema;

use super::reply::{About, ImagesUsage, Parameters};
use super::request::Occasion;

/// What an image looks like so far.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PartialImageEvent<'a> {
    /// `image_generation.partial_image` or `image_edit.partial_image`.
    #[serde(rename = "type")]
    #[schema(example = "image_generation.partial_image")]
    pub(crate) kind: &'static str,
    /// The file in base64: the decoded estimate of the image without noise.
    #[schema(example = "iVBORw0KGgo…")]
    pub(crate) b64_json: String,
    /// When it was made, in seconds of Unix time.
    pub(crate) created_at: u64,
    /// What it is.
    #[serde(flatten)]
    pub(crate) about: &'a About,
    /// From 0, for each image.
    pub(crate) partial_image_index: u32,
    /// Which of the images: from 0 to `n` - 1.
    pub(crate) index: usize,
    /// The seed that it is made from.
    pub(crate) seed: u64,
}

/// An image that is done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImageCompletedEvent<'a> {
    /// `image_generation.completed` or `image_edit.completed`.
    #[serde(rename = "type")]
    #[schema(example = "image_generation.completed")]
    pub(crate) kind: &'static str,
    /// The file in base64.
    #[schema(example = "iVBORw0KGgo…")]
    pub(crate) b64_json: String,
    /// When it was made, in seconds of Unix time.
    pub(crate) created_at: u64,
    /// What it is.
    #[serde(flatten)]
    pub(crate) about: &'a About,
    /// What the whole request took.
    pub(crate) usage: ImagesUsage,
    /// Which of the images: from 0 to `n` - 1; with `best_of` the best is the first.
    pub(crate) index: usize,
    /// The seed that it was made from.
    pub(crate) seed: u64,
    /// With `best_of`: the cosine of image and prompt in the scoring model's space.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) score: Option<f32>,
    /// What the model was given.
    pub(crate) parameters: &'a Parameters,
}

/// One event: its name is its `type`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "read by utoipa's derive alone")]
pub(crate) enum ImageEventObject<'a> {
    /// A preview.
    Partial(PartialImageEvent<'a>),
    /// An image that is done.
    Completed(ImageCompletedEvent<'a>),
}

/// What OpenAI calls the events of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names {
    pub(crate) partial: &'static str,
    pub(crate) completed: &'static str,
}

// === impl Names ===

impl Names {
    /// Of a generation or an edit; a variation has none.
    pub(crate) fn of(occasion: Occasion) -> Self {
        match occasion {
            Occasion::Generation => Self {
                partial: "image_generation.partial_image",
                completed: "image_generation.completed",
            },
            Occasion::Edit | Occasion::Variation => Self {
                partial: "image_edit.partial_image",
                completed: "image_edit.completed",
            },
        }
    }
}

/// An event under its name, which is also its `type`.
pub(crate) fn named(name: &str, value: &impl Serialize) -> Bytes {
    let data = crate::sse::data(value);
    [format!("event: {name}\n").as_bytes(), &data[..]].concat().into()
}

/// A step, as a comment: clients that know nothing of steps pass it over.
pub(crate) fn step_comment(step: ImageStep) -> Bytes {
    format!(": step {}/{}\n\n", step.done, step.total).into()
}
