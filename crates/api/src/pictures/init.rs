//! The image to begin with and its mask, fetched, decoded and brought to the size that is made.

use std::sync::Arc;
use std::time::Instant;

use sensorium_engine::{Admission, ImageCapabilities, ImageParameter, InitImage, Mask, RgbImage};
use sensorium_media::{Filter, MediaError, Pixels, Prepared, Reservation, ResizeMode, ResizeSpec, SizeRule};

use super::plan::{check_honoured, check_size, size_like};
use crate::error::ApiError;
use crate::inputs::source;
use crate::state::AppState;
use crate::wire::images::asked::Asked;
use crate::wire::images::source::SourceImage;
use crate::wire::input::ImageRef;

/// An image to begin with, and the size of what is made from it.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) init: InitImage,
    pub(crate) size: (u32, u32),
}

/// Pictures that one image takes: it, its transparency, its mask, and the mask's transparency.
const PICTURES: usize = 3;

/// Takes the memory of all pictures of a request: those that it holds, and those that are made.
///
/// # Errors
/// Naming what makes it so many if there is never so much memory, or not in time.
pub(crate) async fn reserve(
    state: &AppState,
    admission: &Admission,
    image: &ImageCapabilities,
    asked: &Asked,
    with_image: bool,
) -> Result<Reservation, ApiError> {
    let (width, height) = asked.size.unwrap_or_else(|| largest(image, with_image));
    let spec = squash(width, height, Filter::Lanczos);
    let count = asked.candidates() as usize + usize::from(with_image) * PICTURES;
    let deadline = tokio::time::Instant::from_std(admission.deadline());
    let reserved = state.media.reserve_sized(count, &spec, deadline).await;
    reserved.map_err(|source| ApiError::Media {
        param: if asked.size.is_some() { "size" } else { "n" }.to_owned(),
        source,
    })
}

/// The largest size that is made if none is asked for.
fn largest(image: &ImageCapabilities, with_image: bool) -> (u32, u32) {
    let (width, height) = (image.default_width, image.default_height);
    // Both sides are rounded to a multiple, and a narrow picture may have to be widened.
    let multiple = if with_image {
        image.side_multiple.max(image.min_side)
    } else {
        0
    };
    (width + multiple, height + multiple)
}

/// Loads the image and its mask. Where there is no mask, what is transparent is painted anew.
///
/// # Errors
/// Naming `image` or `mask` if it can't be had, or isn't what the model takes; `size` if the model doesn't make that.
pub(crate) async fn begin(
    state: &AppState,
    admission: &Admission,
    image: &ImageCapabilities,
    asked: &Asked,
    given: SourceImage,
) -> Result<Begun, ApiError> {
    check_honoured(image, ImageParameter::Image, "image")?;
    if given.mask.is_some() {
        check_honoured(image, ImageParameter::Mask, "mask")?;
    }
    let start = Instant::now();
    let loader = Loader { state, admission };
    let picture = loader.load("image", given.image, rule(image, asked)).await?;
    let upright = picture.upright;
    let size = (picture.pixels.width, picture.pixels.height);
    check_size(image, asked, size)?;
    let plane = match given.mask {
        Some(mask) => Some(loader.mask(mask, size, upright).await?),
        None => transparency(image, picture.pixels.alpha.as_deref())?,
    };
    let metrics = state.engine.metrics();
    metrics.preprocess(&admission.model().id, start.elapsed());
    metrics.images(&admission.model().id, 1);
    let shape = |_| ApiError::Internal("pixels of no valid shape");
    let pixels = RgbImage::new(size.0, size.1, picture.pixels.rgb).map_err(shape)?;
    let mask = plane.map(|plane| Mask::new(size.0, size.1, plane));
    Ok(Begun {
        init: InitImage {
            image: pixels,
            mask: mask.transpose().map_err(shape)?,
            strength: asked.strength,
        },
        size,
    })
}

/// Loads for one request.
struct Loader<'a> {
    state: &'a AppState,
    admission: &'a Admission,
}

// === impl Loader ===

impl Loader<'_> {
    async fn load(&self, name: &str, reference: ImageRef, rule: SizeRule) -> Result<Prepared, ApiError> {
        let media = |source: MediaError| ApiError::Media {
            param: name.to_owned(),
            source,
        };
        let deadline = tokio::time::Instant::from_std(self.admission.deadline());
        let source = source(reference).map_err(media)?;
        self.state
            .media
            .load_by_rule(source, rule, deadline)
            .await
            .map_err(media)
    }

    /// What a mask's file says: 255 is painted anew.
    async fn mask(&self, reference: ImageRef, size: (u32, u32), expected: (u32, u32)) -> Result<Vec<u8>, ApiError> {
        // What is kept stays kept to the pixel, so nothing is smoothed.
        let rule: SizeRule = Arc::new(move |_, _| squash(size.0, size.1, Filter::Nearest));
        let mask = self.load("mask", reference, rule).await?;
        if mask.upright != expected {
            let ((width, height), (wide, high)) = (expected, mask.upright);
            let message =
                format!("the mask has {wide}x{high} pixels, the image {width}x{height}: send one of its size");
            return Err(ApiError::invalid("mask", message));
        }
        let plane = plane(&mask.pixels);
        if plane.iter().all(|&value| value == 0) {
            let message = "the mask leaves nothing to paint: make transparent what is to be painted anew, or white \
                           in a file without transparency";
            return Err(ApiError::invalid("mask", message));
        }
        Ok(plane)
    }
}

/// What is transparent, or, where nothing is, what is white.
fn plane(mask: &Pixels) -> Vec<u8> {
    match &mask.alpha {
        Some(alpha) if alpha.iter().any(|&alpha| alpha < 255) => alpha.iter().map(|alpha| 255 - alpha).collect(),
        Some(_) | None => mask.rgb.as_chunks::<3>().0.iter().map(luma).collect(),
    }
}

/// As Pillow's `convert("L")` (ITU-R 601-2).
fn luma(&[red, green, blue]: &[u8; 3]) -> u8 {
    let sum = 19_595 * u32::from(red) + 38_470 * u32::from(green) + 7_471 * u32::from(blue) + 0x8000;
    // The weights sum to 65,536.
    (sum >> 16) as u8
}

/// An image's own transparency, if it has any.
fn transparency(image: &ImageCapabilities, alpha: Option<&[u8]>) -> Result<Option<Vec<u8>>, ApiError> {
    let Some(alpha) = alpha.filter(|alpha| alpha.iter().any(|&alpha| alpha < 255)) else {
        return Ok(None);
    };
    if !image.honours(ImageParameter::Mask) {
        let message = "image has transparent parts, and this model paints whole images: send one without them";
        return Err(ApiError::unsupported("image", message));
    }
    Ok(Some(alpha.iter().map(|alpha| 255 - alpha).collect()))
}

/// The size that is asked for, or one of the image's own shape.
fn rule(image: &ImageCapabilities, asked: &Asked) -> SizeRule {
    match asked.size {
        Some((width, height)) => Arc::new(move |_, _| squash(width, height, Filter::Lanczos)),
        None => {
            let image = image.clone();
            Arc::new(move |width, height| {
                let (width, height) = size_like(&image, width, height);
                squash(width, height, Filter::Lanczos)
            })
        }
    }
}

/// As diffusers' image processor does it.
fn squash(width: u32, height: u32, filter: Filter) -> ResizeSpec {
    ResizeSpec {
        width,
        height,
        mode: ResizeMode::Squash,
        filter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(rgb: Vec<u8>, alpha: Option<Vec<u8>>) -> Pixels {
        Pixels {
            width: 2,
            height: 1,
            rgb,
            alpha,
        }
    }

    #[test]
    fn a_mask_is_its_transparency_or_else_its_white() {
        let black_and_white = || vec![0, 0, 0, 255, 255, 255];
        assert_eq!(plane(&pixels(black_and_white(), Some(vec![0, 255]))), [255, 0]);
        assert_eq!(plane(&pixels(black_and_white(), Some(vec![255, 255]))), [0, 255]);
        assert_eq!(plane(&pixels(black_and_white(), None)), [0, 255]);
        assert_eq!(plane(&pixels(vec![255, 0, 0, 128, 128, 128], None)), [76, 128]);
    }
}
