//! The image task's requests, events and capabilities, on the wire and off it.

use super::required;
use crate::{
    ImageCapabilities, ImageDone, ImageEvent, ImageParameter, ImagePreview, ImageRequest, ImageStarted, ImageStep,
    InitImage, Invalid, LoraWeight, RgbImage, proto,
};

impl TryFrom<proto::ImageRequest> for ImageRequest {
    type Error = Invalid;

    fn try_from(wire: proto::ImageRequest) -> Result<Self, Invalid> {
        let init = match (wire.image, wire.mask, wire.strength) {
            (Some(image), mask, strength) => Some(InitImage {
                image: image.try_into()?,
                mask: mask.map(TryInto::try_into).transpose()?,
                strength,
            }),
            (None, Some(_), _) => return Err(Invalid::new("mask", "is given without an image")),
            (None, None, Some(_)) => return Err(Invalid::new("strength", "is given without an image")),
            (None, None, None) => None,
        };
        let lora = |lora: proto::LoraWeight| LoraWeight {
            name: lora.name,
            weight: lora.weight,
        };
        let request = Self {
            prompt: wire.prompt,
            negative_prompt: some(wire.negative_prompt),
            width: wire.width,
            height: wire.height,
            steps: wire.steps,
            guidance_scale: wire.guidance_scale,
            seeds: wire.seeds,
            scheduler: some(wire.scheduler),
            init,
            previews: wire.previews,
            loras: wire.loras.into_iter().map(lora).collect(),
            truncate: wire.truncate,
        };
        request.validate()?;
        Ok(request)
    }
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

impl From<ImageRequest> for proto::ImageRequest {
    fn from(request: ImageRequest) -> Self {
        let (image, mask, strength) = match request.init {
            Some(init) => (Some(init.image.into()), init.mask.map(Into::into), init.strength),
            None => (None, None, None),
        };
        let lora = |lora: LoraWeight| proto::LoraWeight {
            name: lora.name,
            weight: lora.weight,
        };
        Self {
            prompt: request.prompt,
            negative_prompt: request.negative_prompt.unwrap_or_default(),
            width: request.width,
            height: request.height,
            steps: request.steps,
            guidance_scale: request.guidance_scale,
            seeds: request.seeds,
            scheduler: request.scheduler.unwrap_or_default(),
            image,
            mask,
            strength,
            previews: request.previews,
            loras: request.loras.into_iter().map(lora).collect(),
            truncate: request.truncate,
        }
    }
}

/// An event, or `None` for one that a later minor version has added.
pub(crate) fn image_event_from_wire(wire: proto::ImageEvent) -> Result<Option<ImageEvent>, Invalid> {
    use proto::image_event::Event;
    let Some(event) = wire.event else { return Ok(None) };
    let pixels = |image: Option<proto::Image>| RgbImage::try_from(required(image, "image")?);
    Ok(Some(match event {
        Event::Started(started) => ImageEvent::Started(ImageStarted {
            prompt_tokens: started.prompt_tokens,
            truncated: started.truncated,
        }),
        Event::Step(step) => ImageEvent::Step(ImageStep {
            done: step.done,
            total: step.total,
        }),
        Event::Preview(preview) => ImageEvent::Preview(ImagePreview {
            index: preview.index,
            number: preview.number,
            image: pixels(preview.image)?,
        }),
        Event::Image(done) => ImageEvent::Image(ImageDone {
            index: done.index,
            image: pixels(done.image)?,
        }),
        Event::Finished(proto::ImageFinished {}) => ImageEvent::Finished,
        Event::Refused(refused) => ImageEvent::Refused(refused.try_into()?),
    }))
}

impl From<ImageEvent> for proto::ImageEvent {
    fn from(event: ImageEvent) -> Self {
        use proto::image_event::Event;
        let event = match event {
            ImageEvent::Started(started) => Event::Started(proto::ImageStarted {
                prompt_tokens: started.prompt_tokens,
                truncated: started.truncated,
            }),
            ImageEvent::Step(step) => Event::Step(proto::ImageStep {
                done: step.done,
                total: step.total,
            }),
            ImageEvent::Preview(preview) => Event::Preview(proto::ImagePreview {
                index: preview.index,
                number: preview.number,
                image: Some(preview.image.into()),
            }),
            ImageEvent::Image(done) => Event::Image(proto::ImageDone {
                index: done.index,
                image: Some(done.image.into()),
            }),
            ImageEvent::Finished => Event::Finished(proto::ImageFinished {}),
            ImageEvent::Refused(refused) => Event::Refused(refused.into()),
        };
        Self { event: Some(event) }
    }
}

impl From<proto::ImageCapabilities> for ImageCapabilities {
    /// Not validated yet.
    fn from(wire: proto::ImageCapabilities) -> Self {
        // A parameter that a later minor version has added is of no use to this host.
        let parameters = wire.parameters.into_iter().filter_map(parameter);
        Self {
            parameters: parameters.collect(),
            default_width: wire.default_width,
            default_height: wire.default_height,
            min_side: wire.min_side,
            max_side: wire.max_side,
            side_multiple: wire.side_multiple,
            max_pixels: wire.max_pixels,
            max_pixel_steps: wire.max_pixel_steps,
            default_steps: wire.default_steps,
            max_steps: wire.max_steps,
            default_guidance_scale: wire.default_guidance_scale,
            default_strength: wire.default_strength,
            schedulers: wire.schedulers,
            loras: wire.loras,
            max_images: wire.max_images,
            context_length: wire.context_length,
        }
    }
}

impl From<ImageCapabilities> for proto::ImageCapabilities {
    fn from(image: ImageCapabilities) -> Self {
        let parameters = image.parameters.into_iter();
        Self {
            parameters: parameters.map(|p| proto::ImageParameter::from(p).into()).collect(),
            default_width: image.default_width,
            default_height: image.default_height,
            min_side: image.min_side,
            max_side: image.max_side,
            side_multiple: image.side_multiple,
            max_pixels: image.max_pixels,
            max_pixel_steps: image.max_pixel_steps,
            default_steps: image.default_steps,
            max_steps: image.max_steps,
            default_guidance_scale: image.default_guidance_scale,
            default_strength: image.default_strength,
            schedulers: image.schedulers,
            loras: image.loras,
            max_images: image.max_images,
            context_length: image.context_length,
        }
    }
}

fn parameter(number: i32) -> Option<ImageParameter> {
    use proto::ImageParameter as Wire;
    Some(match Wire::try_from(number).ok()? {
        Wire::NegativePrompt => ImageParameter::NegativePrompt,
        Wire::GuidanceScale => ImageParameter::GuidanceScale,
        Wire::Steps => ImageParameter::Steps,
        Wire::Seed => ImageParameter::Seed,
        Wire::Scheduler => ImageParameter::Scheduler,
        Wire::Image => ImageParameter::Image,
        Wire::Mask => ImageParameter::Mask,
        Wire::Strength => ImageParameter::Strength,
        Wire::Previews => ImageParameter::Previews,
        Wire::Lora => ImageParameter::Lora,
        Wire::Unspecified => return None,
    })
}

impl From<ImageParameter> for proto::ImageParameter {
    fn from(parameter: ImageParameter) -> Self {
        match parameter {
            ImageParameter::NegativePrompt => Self::NegativePrompt,
            ImageParameter::GuidanceScale => Self::GuidanceScale,
            ImageParameter::Steps => Self::Steps,
            ImageParameter::Seed => Self::Seed,
            ImageParameter::Scheduler => Self::Scheduler,
            ImageParameter::Image => Self::Image,
            ImageParameter::Mask => Self::Mask,
            ImageParameter::Strength => Self::Strength,
            ImageParameter::Previews => Self::Previews,
            ImageParameter::Lora => Self::Lora,
        }
    }
}

#[cfg(test)]
mod tests;
