//! Images of a request, loaded and sized as the model's spec says; their memory is reserved first.

use std::time::Instant;

use sensorium_engine::{Admission, Filter, ImageSpec, ResizeMode, RgbImage};
use sensorium_media::{Pixels, Prepared, Reservation, ResizeSpec, Source};

use crate::error::ApiError;
use crate::state::AppState;

/// An image at the size that the model reads.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// Its pixels.
    pub(crate) pixels: RgbImage,
    /// The sides of the file that it came from.
    pub(crate) sides: (u32, u32),
}

/// The memory of all the images of a request at the largest size that the model reads.
///
/// # Errors
/// Naming `param` if there is never so much, or not in time.
pub(crate) async fn reserve(
    state: &AppState,
    admission: &Admission,
    count: usize,
    spec: ImageSpec,
    param: &'static str,
) -> Result<Reservation, ApiError> {
    let deadline = tokio::time::Instant::from_std(admission.deadline());
    let reserved = state.media.reserve_sized(count, &resize_spec(spec), deadline).await;
    reserved.map_err(|source| ApiError::Media {
        param: param.to_owned(),
        source,
    })
}

/// Fetches, decodes and sizes images, in order.
///
/// # Errors
/// Naming the first that can't be had or read, by way of `name`.
pub(crate) async fn load(
    state: &AppState,
    admission: &Admission,
    sources: Vec<Source>,
    spec: ImageSpec,
    name: impl Fn(usize) -> String,
) -> Result<Vec<Loaded>, ApiError> {
    let start = Instant::now();
    let count = sources.len();
    let images = state
        .media
        .load_all(
            sources,
            Some(&resize_spec(spec)),
            tokio::time::Instant::from_std(admission.deadline()),
        )
        .await
        .map_err(|failed| ApiError::Media {
            param: name(failed.index),
            source: failed.error,
        })?;
    let metrics = state.engine.metrics();
    metrics.preprocess(&admission.model().id, start.elapsed());
    metrics.images(&admission.model().id, count);
    images.into_iter().map(Loaded::new).collect()
}

// === impl Loaded ===

impl Loaded {
    fn new(image: Prepared) -> Result<Self, ApiError> {
        Ok(Self {
            sides: (image.header.width, image.header.height),
            pixels: rgb(image.pixels)?,
        })
    }
}

fn rgb(pixels: Pixels) -> Result<RgbImage, ApiError> {
    RgbImage::new(pixels.width, pixels.height, pixels.rgb).map_err(|_| ApiError::Internal("pixels of no valid shape"))
}

/// The spec in media's words.
pub(crate) fn resize_spec(spec: ImageSpec) -> ResizeSpec {
    use sensorium_media::{Filter as To, ResizeMode as Mode};
    ResizeSpec {
        width: spec.width,
        height: spec.height,
        mode: match spec.mode {
            ResizeMode::ShortestEdgeCrop { shortest_edge } => Mode::ShortestEdgeCrop { shortest_edge },
            ResizeMode::Squash => Mode::Squash,
            ResizeMode::Fit => Mode::Fit,
        },
        filter: match spec.filter {
            Filter::Nearest => To::Nearest,
            Filter::Box => To::Box,
            Filter::Bilinear => To::Bilinear,
            Filter::Hamming => To::Hamming,
            Filter::Bicubic => To::Bicubic,
            Filter::Lanczos => To::Lanczos,
        },
    }
}
