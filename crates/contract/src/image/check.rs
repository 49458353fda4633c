//! Whether a request asks for nothing but what a model has listed.

use super::capabilities::{ImageCapabilities, ImageParameter};
use super::request::ImageRequest;
use crate::Invalid;

/// Checks a valid request against what the model said it can do.
///
/// # Errors
/// The first thing that the model didn't list.
pub(super) fn check(request: &ImageRequest, image: &ImageCapabilities) -> Result<(), Invalid> {
    let init = request.init.as_ref();
    for (given, parameter, field) in [
        (
            request.negative_prompt.is_some(),
            ImageParameter::NegativePrompt,
            "negative_prompt",
        ),
        (
            request.guidance_scale.is_some(),
            ImageParameter::GuidanceScale,
            "guidance_scale",
        ),
        (request.steps != image.default_steps, ImageParameter::Steps, "steps"),
        (request.scheduler.is_some(), ImageParameter::Scheduler, "scheduler"),
        (init.is_some(), ImageParameter::Image, "image"),
        (
            init.is_some_and(|init| init.mask.is_some()),
            ImageParameter::Mask,
            "mask",
        ),
        (
            init.is_some_and(|init| init.strength.is_some()),
            ImageParameter::Strength,
            "strength",
        ),
        (request.previews > 0, ImageParameter::Previews, "previews"),
        (!request.loras.is_empty(), ImageParameter::Lora, "loras"),
    ] {
        if given && !image.honours(parameter) {
            return Err(Invalid::new(field, "is not for this model: it doesn't honour it"));
        }
    }
    check_names(request, image)?;
    check_size(request, image)?;
    check_work(request, image)
}

fn check_names(request: &ImageRequest, image: &ImageCapabilities) -> Result<(), Invalid> {
    let unlisted = |name: &str, listed: &[String]| {
        let listed = listed.join(", ");
        format!("is \"{}\"; this model has: {listed}", name.escape_debug())
    };
    if let Some(name) = &request.scheduler
        && !image.schedulers.contains(name)
    {
        return Err(Invalid::new("scheduler", unlisted(name, &image.schedulers)));
    }
    match request.loras.iter().find(|lora| !image.loras.contains(&lora.name)) {
        Some(lora) => Err(Invalid::new("loras", unlisted(&lora.name, &image.loras))),
        None => Ok(()),
    }
}

fn check_size(request: &ImageRequest, image: &ImageCapabilities) -> Result<(), Invalid> {
    for (field, side) in [("width", request.width), ("height", request.height)] {
        if !(image.min_side..=image.max_side).contains(&side) || side % image.side_multiple != 0 {
            let problem = format!(
                "is {side} pixels; a side is a multiple of {} from {} to {}",
                image.side_multiple, image.min_side, image.max_side
            );
            return Err(Invalid::new(field, problem));
        }
    }
    let pixels = u64::from(request.width) * u64::from(request.height);
    if pixels > image.max_pixels {
        let problem = format!(
            "makes an image of {pixels} pixels with that height; this model makes at most {}",
            image.max_pixels
        );
        return Err(Invalid::new("width", problem));
    }
    Ok(())
}

fn check_work(request: &ImageRequest, image: &ImageCapabilities) -> Result<(), Invalid> {
    if request.steps > image.max_steps {
        let problem = format!("is {}; this model takes at most {}", request.steps, image.max_steps);
        return Err(Invalid::new("steps", problem));
    }
    if request.seeds.len() > image.max_images as usize {
        let problem = format!(
            "has {} numbers; this model makes at most {} images of one request",
            request.seeds.len(),
            image.max_images
        );
        return Err(Invalid::new("seeds", problem));
    }
    let pixels = u64::from(request.width) * u64::from(request.height);
    let work = pixels * u64::from(request.steps) * request.seeds.len() as u64;
    if work > image.max_pixel_steps {
        let problem = format!(
            "makes {work} pixels times steps, at this size and number of images, where this model takes at most {}; \
             ask for fewer, smaller, or fewer steps",
            image.max_pixel_steps
        );
        return Err(Invalid::new("steps", problem));
    }
    Ok(())
}
