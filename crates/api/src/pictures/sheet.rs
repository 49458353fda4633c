//! Images as files, in the reply or behind links, with what they were made with.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use sensorium_engine::{Admission, ImageCapabilities, ImageRequest, RgbImage};

use crate::error::ApiError;
use crate::state::AppState;
use crate::wire::images::output::Output;
use crate::wire::images::reply::{About, ImageObject, Parameters};

/// Keyword of the text beside a PNG.
const KEYWORD: &str = "parameters";

/// All that a request's images have in common.
#[derive(Debug, Clone)]
pub(crate) struct Sheet {
    pub(crate) prompt: String,
    pub(crate) model: String,
    pub(crate) seeds: Vec<u64>,
    pub(crate) about: About,
    pub(crate) parameters: Parameters,
    pub(crate) output: Output,
    /// What links begin with.
    pub(crate) base: String,
}

// === impl Sheet ===

impl Sheet {
    /// What the images of `request` have in common.
    pub(crate) fn new(
        request: &ImageRequest,
        admission: &Admission,
        image: &ImageCapabilities,
        output: Output,
        base: String,
    ) -> Self {
        Self {
            prompt: request.prompt.clone(),
            model: admission.model().id.clone(),
            seeds: request.seeds.clone(),
            about: About::new((request.width, request.height), output),
            parameters: Parameters::new(request, image),
            output,
            base,
        }
    }

    /// The seed of an image.
    pub(crate) fn seed(&self, index: usize) -> u64 {
        self.seeds.get(index).copied().unwrap_or_default()
    }

    /// An image as a file. What it was made with goes with a finished PNG.
    ///
    /// # Errors
    /// If the format has no picture of that size.
    pub(crate) async fn file(
        &self,
        state: &AppState,
        index: usize,
        image: &RgbImage,
        finished: bool,
    ) -> Result<Bytes, ApiError> {
        let mut texts = Vec::new();
        if finished {
            let (seed, size) = (self.seed(index), &self.about.size);
            let text = self.parameters.to_text(&self.prompt, seed, size, &self.model);
            texts.push((KEYWORD.to_owned(), text));
        }
        let encoding = self.output.encoding(texts);
        let encoded = state
            .media
            .encode(image.width(), image.height(), image.to_bytes(), encoding);
        encoded.await.map_err(|source| ApiError::Media {
            param: "output_format".to_owned(),
            source,
        })
    }

    /// An image in the reply, or behind a link.
    pub(crate) fn object(&self, state: &AppState, index: usize, file: Bytes, score: Option<f32>) -> ImageObject {
        let (mut b64_json, mut url) = (None, None);
        if self.output.link {
            let name = state.files.keep(file, self.output.format);
            url = Some(format!("{}/v1/images/files/{name}", self.base));
        } else {
            b64_json = Some(to_base64(&file));
        }
        ImageObject {
            b64_json,
            url,
            seed: self.seed(index),
            score,
        }
    }
}

/// A file in base64.
pub(crate) fn to_base64(file: &Bytes) -> String {
    STANDARD.encode(file)
}

/// Seconds of Unix time.
pub(crate) fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}
