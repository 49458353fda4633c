//! How images are handed out: as what file, in the reply or behind a link, at the end or as they come.

use sensorium_media::Encoding;

use super::asked::{take_number, take_whole};
use crate::error::ApiError;
use crate::wire::fields::Fields;

/// A file's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileFormat {
    Png,
    Jpeg,
    WebP,
}

/// As what files images are handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) format: FileFormat,
    /// Of a JPEG, 1 to 100.
    pub(crate) quality: u8,
    /// Behind a link, not in the reply.
    pub(crate) link: bool,
}

/// When images are handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Delivery {
    /// As events, while they are made.
    pub(crate) stream: bool,
    /// Previews of each image.
    pub(crate) partial_images: u32,
}

/// Quality of a JPEG if the request doesn't say: OpenAI compresses no more than it must.
const QUALITY: u8 = 100;

/// Most previews, as OpenAI has it.
const MOST_PARTIAL: u64 = 3;

// === impl Output ===

impl Output {
    /// Takes `response_format`, `output_format`, `output_compression` and `background`.
    ///
    /// # Errors
    /// Naming the first that can't be had.
    pub(crate) fn take(fields: &mut Fields) -> Result<Self, ApiError> {
        refuse_transparency(fields)?;
        let link = match fields.optional::<String>("response_format")?.as_deref() {
            None | Some("b64_json") => false,
            Some("url") => true,
            Some(_) => {
                return Err(ApiError::invalid(
                    "response_format",
                    "response_format must be 'b64_json' or 'url'",
                ));
            }
        };
        let format = match fields.optional::<String>("output_format")?.as_deref() {
            None | Some("png") => FileFormat::Png,
            Some("jpeg" | "jpg") => FileFormat::Jpeg,
            Some("webp") => FileFormat::WebP,
            Some(_) => {
                let message = "output_format must be 'png', 'jpeg' or 'webp'";
                return Err(ApiError::invalid("output_format", message));
            }
        };
        let compression = take_number(fields, "output_compression", 0.0..=100.0)?;
        let quality = match (format, compression) {
            (_, None | Some(100.0)) => QUALITY,
            (FileFormat::Jpeg, Some(quality)) => (quality as u8).max(1),
            (FileFormat::Png | FileFormat::WebP, Some(_)) => {
                let message = format!(
                    "output_compression is for jpeg: {} files of this server lose nothing",
                    format.as_str()
                );
                return Err(ApiError::unsupported("output_compression", message));
            }
        };
        Ok(Self { format, quality, link })
    }

    /// As what file pixels are written; `texts` go with a PNG.
    pub(crate) fn encoding(self, texts: Vec<(String, String)>) -> Encoding {
        match self.format {
            FileFormat::Png => Encoding::Png { texts },
            FileFormat::Jpeg => Encoding::Jpeg { quality: self.quality },
            FileFormat::WebP => Encoding::WebP,
        }
    }
}

/// What asks for no transparency is a hint, and stays to be reported as one.
fn refuse_transparency(fields: &mut Fields) -> Result<(), ApiError> {
    match fields.optional::<String>("background")?.as_deref() {
        None => Ok(()),
        Some("auto" | "opaque") => {
            fields.ignore("background");
            Ok(())
        }
        Some("transparent") => Err(ApiError::unsupported(
            "background",
            "background: transparent is not supported: models here make opaque images",
        )),
        Some(_) => Err(ApiError::invalid("background", "background must be 'auto' or 'opaque'")),
    }
}

// === impl Delivery ===

impl Delivery {
    /// Takes `stream` and `partial_images`.
    ///
    /// # Errors
    /// Naming the one that is wrong, or that goes with no other.
    pub(crate) fn take(fields: &mut Fields, output: Output) -> Result<Self, ApiError> {
        let stream = fields.optional::<bool>("stream")?.unwrap_or(false);
        let partial_images = take_whole(fields, "partial_images", 0..=MOST_PARTIAL)?.unwrap_or(0) as u32;
        if partial_images > 0 && !stream {
            return Err(ApiError::invalid(
                "partial_images",
                "partial_images is allowed only with stream: true",
            ));
        }
        if stream && output.link {
            return Err(ApiError::unsupported(
                "response_format",
                "events of a stream hold their images: leave response_format out",
            ));
        }
        Ok(Self { stream, partial_images })
    }
}

// === impl FileFormat ===

impl FileFormat {
    /// As `output_format` calls it; also what such a file's name ends with.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpeg",
            Self::WebP => "webp",
        }
    }

    /// Its media type.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::WebP => "image/webp",
        }
    }
}
