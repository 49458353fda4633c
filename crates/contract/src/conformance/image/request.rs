//! Requests for images to try a model with.

use crate::conformance::samples;
use crate::{ImageCapabilities, ImageParameter, ImageRequest, InitImage, Mask};

/// What all checks ask for, unless it matters.
const PROMPT: &str = "a red circle";

/// Steps of a request that is to be quick.
const FEW: u32 = 4;

/// A request before it is known what the model can do.
pub(in crate::conformance) fn any() -> ImageRequest {
    ImageRequest::new(PROMPT, (64, 64), FEW, vec![1])
}

/// A quick request for images with these seeds.
pub(in crate::conformance) fn plain(image: &ImageCapabilities, seeds: &[u64]) -> ImageRequest {
    in_steps(image, seeds, FEW)
}

/// The same in so many steps, as far as the model lets that be chosen.
pub(super) fn in_steps(image: &ImageCapabilities, seeds: &[u64], steps: u32) -> ImageRequest {
    let (width, height) = (image.default_width, image.default_height);
    let affordable = image.max_pixel_steps / (u64::from(width) * u64::from(height) * seeds.len().max(1) as u64);
    let most = image
        .max_steps
        .min(u32::try_from(affordable).unwrap_or(u32::MAX))
        .max(1);
    ImageRequest {
        width,
        height,
        steps: if image.honours(ImageParameter::Steps) {
            steps.min(most)
        } else {
            image.default_steps
        },
        seeds: seeds.to_vec(),
        ..any()
    }
}

/// The same from an image, of which the right half is painted anew if `masked`.
pub(super) fn from_image(image: &ImageCapabilities, masked: bool) -> Option<ImageRequest> {
    let mut request = plain(image, &[1]);
    let (width, height) = (request.width, request.height);
    let plane: Vec<u8> = (0..width * height)
        .map(|pixel| if pixel % width < width / 2 { 0 } else { 255 })
        .collect();
    request.init = Some(InitImage {
        image: samples::pixels(width, height, 1)?,
        mask: masked.then(|| Mask::new(width, height, plane).ok()).flatten(),
        strength: image.honours(ImageParameter::Strength).then_some(0.5),
    });
    Some(request)
}
