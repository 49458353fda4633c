//! The images of one request, while they are made. Dropping it calls all work off.

use sensorium_engine::{
    Admission, Error as EngineError, ImageEvent, ImageRequest, ImageStarted, ImageStream, RgbImage,
};
use sensorium_media::Reservation;

use super::refusal::in_request;
use crate::context::Call;
use crate::error::ApiError;

/// The images of one request, while they are made.
pub(crate) struct Making {
    stream: ImageStream,
    /// The memory of the pictures, the request's slot and its cancellation.
    _pixels: Reservation,
    _admission: Admission,
    _call: Call,
}

/// What a request holds until its images have been handed out.
pub(crate) struct Held {
    pub(crate) pixels: Reservation,
    pub(crate) admission: Admission,
    pub(crate) call: Call,
}

// === impl Making ===

impl Making {
    /// Sends the request, and waits until its prompts have been read: from then on it is not refused any more.
    ///
    /// # Errors
    /// Naming what of the request is to blame, if it is.
    pub(crate) async fn begin(request: ImageRequest, held: Held) -> Result<Self, ApiError> {
        let stream = held.admission.imagine(request).await.map_err(in_request)?;
        Ok(Self {
            stream,
            _pixels: held.pixels,
            _admission: held.admission,
            _call: held.call,
        })
    }

    /// What the prompts came to.
    pub(crate) fn started(&self) -> ImageStarted {
        self.stream.started()
    }

    /// The next event: steps, previews and images; `None` once all images have come.
    ///
    /// # Errors
    /// What ended the work; nothing comes after it.
    pub(crate) async fn next(&mut self) -> Option<Result<ImageEvent, ApiError>> {
        match self.stream.next().await? {
            Ok(ImageEvent::Finished) => None,
            event => Some(event.map_err(in_request)),
        }
    }

    /// All images, in the order of their seeds.
    ///
    /// # Errors
    /// What ended the work.
    pub(crate) async fn all(&mut self, count: usize) -> Result<Vec<RgbImage>, ApiError> {
        let mut images: Vec<Option<RgbImage>> = vec![None; count];
        while let Some(event) = self.next().await {
            if let ImageEvent::Image(done) = event? {
                let place = images.get_mut(done.index as usize);
                *place.ok_or(ApiError::Internal("an image that nobody asked for"))? = Some(done.image);
            }
        }
        let all: Option<Vec<_>> = images.into_iter().collect();
        all.ok_or_else(|| EngineError::Cancelled.into())
    }
}
