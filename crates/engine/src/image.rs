//! One request for images to a model, and what comes of it as it is made.

use sensorium_contract::{ImageEvent, ImageRequest, ImageStarted};

use crate::stream::Stream;
use crate::{Admission, Error};

/// The images of one request as they are made. Dropping it calls the work off.
///
/// It holds its request's slot, so the model counts as busy until it has been read or dropped.
pub struct ImageStream(Stream<ImageEvent>);

// === impl Admission ===

impl Admission {
    /// Sends one request for images to the model, through its queue, and resolves when the plugin has read its prompts.
    /// One that an instance's death takes with it before then is tried once more. Dropping the future calls the work
    /// off.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::Refused`] says what of the request can't be served.
    pub async fn imagine(&self, request: ImageRequest) -> Result<ImageStream, Error> {
        let image = self.capabilities().image.as_ref();
        self.stream::<ImageEvent>(request, |request| {
            let image = image?;
            Some(request.validate().and_then(|()| image.check(request)))
        })
        .await
        .map(ImageStream)
    }
}

// === impl ImageStream ===

impl ImageStream {
    /// What the prompts came to.
    pub fn started(&self) -> ImageStarted {
        self.0.started()
    }

    /// The next event: steps, previews and images, then `Finished`, then nothing. Never `Started` or `Refused`. Nothing
    /// comes after an error, which may come at any time: [`Error::Crashed`], [`Error::Deadline`] and
    /// [`Error::Cancelled`] above all.
    pub async fn next(&mut self) -> Option<Result<ImageEvent, Error>> {
        self.0.next().await
    }
}
