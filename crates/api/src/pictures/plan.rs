//! What a request asks of the model, held against what the model can do: what it can't is refused by name, before
//! anything is spent on it.

use sensorium_engine::{
    Admission, Error as EngineError, ImageCapabilities, ImageParameter, ImageRequest, InitImage, Task,
};

use crate::error::ApiError;
use crate::wire::images::asked::Asked;

/// What the model can do, if it makes images.
///
/// # Errors
/// If it doesn't.
pub(crate) fn image_capabilities(admission: &Admission) -> Result<&ImageCapabilities, ApiError> {
    let model = &admission.model().id;
    let unsupported = || EngineError::TaskUnsupported {
        model: model.clone(),
        task: Task::Image,
    };
    Ok(admission.capabilities().image.as_ref().ok_or_else(unsupported)?)
}

/// Refuses what the model doesn't honour, whatever the size.
///
/// # Errors
/// Naming the first such parameter; a name that the model doesn't have; too many images or steps.
pub(crate) fn check_asked(image: &ImageCapabilities, asked: &Asked, previews: u32) -> Result<(), ApiError> {
    for (parameter, name) in asked.wanted() {
        check_honoured(image, parameter, name)?;
    }
    if previews > 0 {
        check_honoured(image, ImageParameter::Previews, "partial_images")?;
    }
    let steps = steps(image, asked);
    if steps != image.default_steps {
        check_honoured(image, ImageParameter::Steps, "steps")?;
    }
    if steps > image.max_steps {
        let message = format!("steps is {steps}; this model takes at most {}", image.max_steps);
        return Err(ApiError::invalid("steps", message));
    }
    let unlisted = |what: &str, name: &str, listed: &[String]| {
        let shown: String = name.chars().take(64).collect();
        let message = format!("{what} '{shown}' is none of this model's: {}", listed.join(", "));
        Err(ApiError::invalid(what.to_owned(), message))
    };
    if let Some(name) = asked.scheduler.as_ref().filter(|name| !image.schedulers.contains(name)) {
        return unlisted("scheduler", name, &image.schedulers);
    }
    let mut loras = asked.loras.iter().map(|lora| &lora.name).enumerate();
    if let Some((index, name)) = loras.find(|(_, name)| !image.loras.contains(name)) {
        return unlisted(&format!("loras[{index}]"), name, &image.loras);
    }
    if asked.candidates() > image.max_images {
        let name = candidates_name(asked);
        let message = format!("{name} is at most {} with this model", image.max_images);
        return Err(ApiError::invalid(name, message));
    }
    Ok(())
}

/// Refuses something that a model doesn't honour.
///
/// # Errors
/// Naming it.
pub(crate) fn check_honoured(
    image: &ImageCapabilities,
    parameter: ImageParameter,
    name: &'static str,
) -> Result<(), ApiError> {
    if image.honours(parameter) {
        return Ok(());
    }
    let message = format!("{name} is not supported by this model: {}", advice(parameter));
    Err(ApiError::unsupported(name, message))
}

/// Refuses a size that the model doesn't make, and more work than it takes for one request.
///
/// # Errors
/// Naming `size`, or what makes the work too much.
pub(crate) fn check_size(image: &ImageCapabilities, asked: &Asked, size: (u32, u32)) -> Result<(), ApiError> {
    let (width, height) = size;
    let fits =
        |side: u32| (image.min_side..=image.max_side).contains(&side) && side.is_multiple_of(image.side_multiple);
    if !fits(width) || !fits(height) {
        let message = format!(
            "size {width}x{height} is not for this model: each side is a multiple of {} from {} to {}",
            image.side_multiple, image.min_side, image.max_side
        );
        return Err(ApiError::invalid("size", message));
    }
    let pixels = u64::from(width) * u64::from(height);
    if pixels > image.max_pixels {
        let message = format!(
            "size {width}x{height} has {pixels} pixels; this model makes at most {}",
            image.max_pixels
        );
        return Err(ApiError::invalid("size", message));
    }
    let steps = u64::from(steps(image, asked));
    let work = pixels * steps * u64::from(asked.candidates());
    if work <= image.max_pixel_steps {
        return Ok(());
    }
    let name = if pixels * steps <= image.max_pixel_steps {
        candidates_name(asked)
    } else if asked.steps.is_some() && pixels * u64::from(image.default_steps) <= image.max_pixel_steps {
        "steps"
    } else {
        "size"
    };
    let message = format!(
        "{name} makes this {work} pixels times steps; the model takes at most {} for one request: ask for fewer \
         images, fewer steps or a smaller size",
        image.max_pixel_steps
    );
    Err(ApiError::invalid(name, message))
}

/// The size of what is made from an image of so many pixels if none is asked for: its shape, in about as many pixels
/// as the model makes by default.
pub(crate) fn size_like(image: &ImageCapabilities, width: u32, height: u32) -> (u32, u32) {
    let area = f64::from(image.default_width) * f64::from(image.default_height);
    let scale = (area / (f64::from(width) * f64::from(height))).sqrt();
    let multiple = f64::from(image.side_multiple);
    let fit = |side: u32| {
        let rounded = ((f64::from(side) * scale / multiple).round() * multiple) as u32;
        rounded.clamp(image.min_side, image.max_side)
    };
    let (width, height) = (fit(width), fit(height));
    if u64::from(width) * u64::from(height) <= image.max_pixels {
        (width, height)
    } else {
        (image.default_width, image.default_height)
    }
}

/// The request, with a seed for each image: the first one's, and the numbers that follow.
pub(crate) fn request(
    image: &ImageCapabilities,
    asked: &Asked,
    prompt: String,
    (width, height): (u32, u32),
    init: Option<InitImage>,
    extra: Extra,
) -> ImageRequest {
    let first = asked.seed.unwrap_or_else(random_seed);
    let seeds = (0..u64::from(asked.candidates())).map(|index| first.wrapping_add(index));
    ImageRequest {
        prompt,
        negative_prompt: asked.negative_prompt.clone(),
        width,
        height,
        steps: steps(image, asked),
        guidance_scale: asked.guidance_scale,
        seeds: seeds.collect(),
        scheduler: asked.scheduler.clone(),
        init,
        previews: extra.previews,
        loras: asked.loras.clone(),
        truncate: extra.truncate,
    }
}

/// What a request is told beside what is asked of the model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extra {
    /// Previews of each image.
    pub(crate) previews: u32,
    /// Whether long prompts are cut.
    pub(crate) truncate: bool,
}

fn steps(image: &ImageCapabilities, asked: &Asked) -> u32 {
    asked.steps.unwrap_or(image.default_steps)
}

/// What the client said that makes so many images.
fn candidates_name(asked: &Asked) -> &'static str {
    if asked.best_of.is_some() { "best_of" } else { "n" }
}

/// 32 random bits: exact also where numbers are doubles.
fn random_seed() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().1 & u64::from(u32::MAX)
}

/// What to do about a parameter that a model doesn't honour.
fn advice(parameter: ImageParameter) -> &'static str {
    match parameter {
        ImageParameter::NegativePrompt
        | ImageParameter::GuidanceScale
        | ImageParameter::Seed
        | ImageParameter::Strength
        | ImageParameter::Scheduler => "leave it out",
        ImageParameter::Steps => "it always takes as many",
        ImageParameter::Image => "it makes images from words alone, see /v1/images/generations",
        ImageParameter::Mask => "it paints whole images",
        ImageParameter::Previews => "it shows nothing before an image is done",
        ImageParameter::Lora => "it has none",
    }
}

#[cfg(test)]
mod tests;
