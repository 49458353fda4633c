//! Requests for images: each field taken, what is left over reported.

use serde_json::{Map, Value};

use super::asked::Asked;
use super::output::{Delivery, Output};
use super::source::{Given, SourceImage};
use crate::config::Limits;
use crate::error::ApiError;
use crate::wire::embeddings::take_model;
use crate::wire::fields::Fields;
use crate::wire::input::check_text;

/// What the images are made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// Words.
    Generation,
    /// Words and an image.
    Edit,
    /// An image.
    Variation,
}

/// A parsed request.
#[derive(Debug)]
pub(crate) struct ImagesCall {
    /// Id or alias.
    pub(crate) model: String,
    /// What is to be seen; empty for a variation.
    pub(crate) prompt: String,
    /// The image to begin with; present unless it is a generation.
    pub(crate) source: Option<SourceImage>,
    /// What is asked of the model.
    pub(crate) asked: Asked,
    /// As what files the images are handed out.
    pub(crate) output: Output,
    /// When they are.
    pub(crate) delivery: Delivery,
    /// Names of fields that were not understood, or are mere hints.
    pub(crate) ignored: Vec<String>,
}

/// Known from other servers under other names; they would change the images, so they are not ignored.
const REFUSED: [(&str, &str); 9] = [
    ("num_inference_steps", "use steps"),
    ("cfg_scale", "use guidance_scale"),
    ("sampler", "use scheduler"),
    ("sampler_name", "use scheduler"),
    ("width", "use size"),
    ("height", "use size"),
    ("num_images_per_prompt", "use n"),
    ("denoising_strength", "use strength"),
    ("lora", "use loras"),
];

// === impl ImagesCall ===

impl ImagesCall {
    /// Parses the JSON of a generation.
    ///
    /// # Errors
    /// Naming the first field that is wrong.
    pub(crate) fn generation(body: &[u8], limits: &Limits) -> Result<Self, ApiError> {
        let fields = Fields::parse(body)?;
        Self::parse(Occasion::Generation, fields, None, limits)
    }

    /// Parses the JSON of an edit.
    ///
    /// # Errors
    /// Naming the first field that is wrong.
    pub(crate) fn edit(body: &[u8], limits: &Limits) -> Result<Self, ApiError> {
        Self::with_image(Occasion::Edit, Fields::parse(body)?, limits)
    }

    /// Parses the JSON of a variation.
    ///
    /// # Errors
    /// Naming the first field that is wrong.
    pub(crate) fn variation(body: &[u8], limits: &Limits) -> Result<Self, ApiError> {
        Self::with_image(Occasion::Variation, Fields::parse(body)?, limits)
    }

    /// The same of a form.
    ///
    /// # Errors
    /// Naming the first field that is wrong.
    pub(crate) fn from_form(
        occasion: Occasion,
        given: Given,
        fields: Map<String, Value>,
        limits: &Limits,
    ) -> Result<Self, ApiError> {
        Self::parse(occasion, Fields::new(fields), Some(given), limits)
    }

    fn with_image(occasion: Occasion, mut fields: Fields, limits: &Limits) -> Result<Self, ApiError> {
        let given = Given::take(&mut fields)?;
        Self::parse(occasion, fields, Some(given), limits)
    }

    fn parse(occasion: Occasion, mut fields: Fields, given: Option<Given>, limits: &Limits) -> Result<Self, ApiError> {
        let model = take_model(&mut fields)?;
        fields.refuse(&REFUSED)?;
        let prompt = take_prompt(occasion, &mut fields, limits)?;
        match occasion {
            Occasion::Generation => fields.refuse(&[
                ("image", "use /v1/images/edits"),
                ("images", "use /v1/images/edits"),
                ("mask", "use /v1/images/edits"),
                ("strength", "it is for edits and variations of an image"),
            ])?,
            Occasion::Edit => fields.refuse_unless(&[(
                "input_fidelity",
                Value::String("low".into()),
                "use strength to keep more of the image",
            )])?,
            Occasion::Variation => {
                if given.as_ref().is_some_and(|given| !given.masks.is_empty()) {
                    let message = "mask is not supported: a variation is of the whole image, see /v1/images/edits";
                    return Err(ApiError::unsupported("mask", message));
                }
                fields.refuse(&[("best_of", "a variation has no prompt to be ranked by")])?;
                fields.refuse_unless(&[("stream", Value::Bool(false), "variations come as a whole")])?;
            }
        }
        let asked = Asked::take(&mut fields, limits)?;
        let output = Output::take(&mut fields)?;
        let delivery = Delivery::take(&mut fields, output)?;
        if delivery.partial_images > 0 && asked.best_of.is_some() {
            let message = "partial_images is not allowed with best_of: which images are chosen is known at the end";
            return Err(ApiError::unsupported("partial_images", message));
        }
        Ok(Self {
            model,
            prompt,
            source: given.map(|given| given.one(limits)).transpose()?,
            asked,
            output,
            delivery,
            ignored: fields.finish(),
        })
    }
}

fn take_prompt(occasion: Occasion, fields: &mut Fields, limits: &Limits) -> Result<String, ApiError> {
    if occasion == Occasion::Variation {
        fields.refuse(&[("prompt", "a variation is of an image alone, see /v1/images/edits")])?;
        return Ok(String::new());
    }
    let prompt: String = fields.required("prompt")?;
    check_text("prompt", &prompt, limits)?;
    Ok(prompt)
}

#[cfg(test)]
mod tests;
