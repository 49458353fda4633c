//! `multipart/form-data` with images and a mask.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::source::Given;
use crate::error::ApiError;
use crate::wire::form::{Part, insert_once, parts, scalar, utf8};
use crate::wire::input::ImageRef;

/// Most parts of a form.
const PARTS: usize = 256;

/// Fields whose text is JSON.
const SCALARS: [&str; 10] = [
    "n",
    "seed",
    "steps",
    "guidance_scale",
    "strength",
    "best_of",
    "output_compression",
    "partial_images",
    "stream",
    "truncate",
];

/// Reads a whole form: its images, and its other fields as if they had come as JSON.
///
/// # Errors
/// If it can't be read, has a field twice, or a file that is neither image nor mask.
pub(crate) async fn parse_form(content_type: &str, body: Bytes) -> Result<(Given, Map<String, Value>), ApiError> {
    let mut given = Given::default();
    let mut fields = Map::new();
    for Part { name, file, value } in parts(content_type, body, PARTS).await? {
        match name.as_str() {
            "" => return Err(ApiError::malformed("a part of the form has no name")),
            "image" => given.images.push(reference("image", file, value)?),
            "mask" => given.masks.push(reference("mask", file, value)?),
            _ if file => return Err(ApiError::invalid(name, "files are taken as 'image' or 'mask' only")),
            "loras" => {
                let text = utf8(&name, value)?;
                let list = serde_json::from_str(&text)
                    .map_err(|_| ApiError::invalid("loras", "loras must be JSON: [{\"name\": …, \"weight\": …}]"))?;
                insert_once(&mut fields, name, list)?;
            }
            _ => {
                let text = utf8(&name, value)?;
                let value = if SCALARS.contains(&name.as_str()) {
                    scalar(text)
                } else {
                    Value::String(text)
                };
                insert_once(&mut fields, name, value)?;
            }
        }
    }
    Ok((given, fields))
}

/// A file, or a text that says where one is.
fn reference(name: &'static str, file: bool, value: Bytes) -> Result<ImageRef, ApiError> {
    if value.is_empty() {
        return Err(ApiError::invalid(name, format!("{name} is an empty file")));
    }
    if file {
        Ok(ImageRef::Upload(value))
    } else {
        Ok(ImageRef::Reference(utf8(name, value)?))
    }
}
