//! The image that new ones are made from, and the mask that says where, in all the forms in which clients send them.

use serde_json::Value;

use crate::config::Limits;
use crate::error::ApiError;
use crate::wire::fields::{Fields, kind_of};
use crate::wire::input::ImageRef;
use crate::wire::object::Object;

/// The images and masks that a request holds.
#[derive(Debug, Default)]
pub(crate) struct Given {
    pub(crate) images: Vec<ImageRef>,
    pub(crate) masks: Vec<ImageRef>,
}

/// The one image that new ones are made from.
#[derive(Debug)]
pub(crate) struct SourceImage {
    /// The image.
    pub(crate) image: ImageRef,
    /// What of it is painted anew; `None`: what its own transparency says, or all of it.
    pub(crate) mask: Option<ImageRef>,
}

// === impl Given ===

impl Given {
    /// Takes `image`, `images` and `mask` from JSON.
    ///
    /// # Errors
    /// Naming the first that is no image.
    pub(crate) fn take(fields: &mut Fields) -> Result<Self, ApiError> {
        let mut given = Self::default();
        for name in ["image", "images"] {
            match fields.take(name) {
                None => {}
                Some(Value::Array(list)) => {
                    for (index, value) in list.into_iter().enumerate() {
                        given.images.push(reference(fields, format!("{name}[{index}]"), value)?);
                    }
                }
                Some(value) => given.images.push(reference(fields, name.to_owned(), value)?),
            }
        }
        if let Some(mask) = fields.take("mask") {
            given.masks.push(reference(fields, "mask".to_owned(), mask)?);
        }
        Ok(given)
    }

    /// The one image, and at most one mask.
    ///
    /// # Errors
    /// If there are none, or several, or the mask is too large.
    pub(crate) fn one(self, limits: &Limits) -> Result<SourceImage, ApiError> {
        let (images, masks) = (self.images.len(), self.masks.len());
        let mut rest = self.images.into_iter();
        let image = rest.next().ok_or(ApiError::missing("image"))?;
        if images > 1 {
            let message = format!("{images} images were sent, but models here are given one at a time: send one");
            return Err(ApiError::unsupported("image", message));
        }
        if masks > 1 {
            return Err(ApiError::invalid("mask", format!("{masks} masks were sent: send one")));
        }
        let mask = self.masks.into_iter().next();
        if mask.as_ref().is_some_and(|mask| mask.bytes() > limits.mask_bytes) {
            let message = format!(
                "the mask is larger than {} bytes: send a smaller file",
                limits.mask_bytes
            );
            return Err(ApiError::invalid("mask", message));
        }
        Ok(SourceImage { image, mask })
    }
}

/// A URL, a `data:` URI or base64; alone or in OpenAI's object.
fn reference(fields: &mut Fields, at: String, value: Value) -> Result<ImageRef, ApiError> {
    let text = match value {
        Value::String(text) => text,
        Value::Object(_) => {
            let mut object = Object::new(at.clone(), value)?;
            if object.take("file_id").is_some() {
                let message = format!("{at}.file_id is not supported: this server keeps no files; send image_url");
                return Err(ApiError::unsupported(format!("{at}.file_id"), message));
            }
            let url = match object.take("image_url") {
                Some(Value::String(url)) => url,
                Some(inner @ Value::Object(_)) => {
                    Object::new(object.path("image_url"), inner)?.required_string("url")?
                }
                Some(other) => {
                    return Err(object.bad("image_url", format!("must be a string, not {}", kind_of(&other))));
                }
                None => return Err(ApiError::missing(object.path("image_url"))),
            };
            let place = at.split('[').next().unwrap_or_default().to_owned();
            object.finish(&place, fields);
            url
        }
        other => {
            let message = format!("{at} must be a URL, a data: URI or base64, not {}", kind_of(&other));
            return Err(ApiError::invalid(at, message));
        }
    };
    if text.is_empty() {
        let message = format!("{at} names no image: send a URL, a data: URI or base64");
        return Err(ApiError::invalid(at, message));
    }
    Ok(ImageRef::Reference(text))
}
