//! Requests in the pipeline's words.

use sensorium_contract::{ImageRequest, RefusalCode, Refused};

use crate::{
    pipeline::{ImageTask, InitTask, Pipeline, Refusal, from_mask, from_rgb},
    schedulers::SchedulerKind,
};

/// What a request leaves to the model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Defaults {
    /// Guidance scale.
    pub(crate) guidance_scale: f32,
    /// Strength.
    pub(crate) strength: f32,
}

/// The task that a request asks for.
///
/// # Errors
/// If it names what the model doesn't have.
pub(super) fn task(request: &ImageRequest, pipeline: &Pipeline, defaults: &Defaults) -> Result<ImageTask, Refused> {
    let scheduler = match request.scheduler.as_deref() {
        None => pipeline.scheduler(),
        Some(class) => SchedulerKind::parse(class).ok_or_else(|| invalid("scheduler", "is not one of this model's"))?,
    };
    let mut loras = Vec::new();
    for lora in &request.loras {
        let at = pipeline.loras().iter().position(|name| *name == lora.name);
        let at = at.ok_or_else(|| invalid("loras", "names one that this model doesn't have"))?;
        loras.push((at, lora.weight));
    }
    // Equal mixtures go with one another, in whatever order they were asked for.
    loras.retain(|(_, weight)| *weight != 0.0);
    loras.sort_by_key(|(at, _)| *at);
    Ok(ImageTask {
        prompt: request.prompt.clone(),
        negative_prompt: request.negative_prompt.clone(),
        height: i64::from(request.height),
        width: i64::from(request.width),
        steps: request.steps as usize,
        guidance_scale: f64::from(request.guidance_scale.unwrap_or(defaults.guidance_scale)),
        scheduler,
        init: init(request, defaults)?,
        loras,
        truncate: request.truncate,
    })
}

fn init(request: &ImageRequest, defaults: &Defaults) -> Result<Option<InitTask>, Refused> {
    let Some(init) = &request.init else { return Ok(None) };
    let (height, width) = (i64::from(request.height), i64::from(request.width));
    let pixels = from_rgb(init.image.as_bytes(), height, width);
    let mask = init.mask.as_ref().map(|mask| from_mask(mask.as_bytes(), height, width));
    Ok(Some(InitTask {
        pixels: pixels.map_err(|_| invalid("image", "is not of the size that is asked for"))?,
        mask: mask
            .transpose()
            .map_err(|_| invalid("mask", "is not of the size that is asked for"))?,
        // As written: f32's 0.6 is a little more than 0.6, and steps are counted in whole ones.
        strength: decimal(init.strength.unwrap_or(defaults.strength)),
    }))
}

/// The shortest decimal number that is nearest to `value`, which is the one that the caller wrote.
fn decimal(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

/// What the pipeline refuses, as the contract has it.
pub(super) fn refused(refusal: Refusal) -> Refused {
    Refused {
        code: match refusal.too_long {
            true => RefusalCode::ContextLength,
            false => RefusalCode::InvalidInput,
        },
        message: refusal.message,
        field: refusal.field.to_owned(),
    }
}

fn invalid(field: &str, problem: &str) -> Refused {
    Refused {
        code: RefusalCode::InvalidInput,
        message: format!("{field} {problem}"),
        field: field.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strengths_are_as_they_were_written() {
        for written in [0.6, 0.8, 0.05, 1.0] {
            assert_eq!(decimal(written as f32), written);
        }
        assert_eq!((20.0 * decimal(0.55)) as usize, 11);
    }
}
