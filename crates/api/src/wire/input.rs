//! The many ways in which clients say "this text" or "this image", one form inside.
//!
//! Strings and token ids are OpenAI's; `{"text"}` and `{"image"}` Jina's (also Xinference
//! and SGLang); `{"content": [part]}` llama.cpp's; a bare part is OpenAI's moderation shape;
//! `messages` is vLLM's. One input gives one vector, so an input of several parts is
//! refused: no model here fuses them, and dropping one would be silent.

use bytes::Bytes;
use serde_json::Value;

use super::fields::{Fields, kind_of};
use super::reader::Reader;
use crate::config::Limits;
use crate::error::ApiError;

/// One thing to embed or classify.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Item {
    /// A text.
    Text(String),
    /// Token ids; whose tokens they are is the model's setting.
    Tokens(Vec<u32>),
    /// An image.
    Image(ImageRef),
}

/// Where an image is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ImageRef {
    /// A URL, a `data:` URI or bare base64.
    Reference(String),
    /// A file that came with the request.
    Upload(Bytes),
}

/// What the strings of `input` are (infinity's `modality`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strings {
    /// Texts, but for `data:image/…` URIs.
    Auto,
    /// Texts, whatever they look like.
    Text,
    /// URLs, `data:` URIs or base64 of images.
    Image,
}

/// The inputs of a request, and whether they came as a list: errors are located in the
/// form that the client wrote.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Inputs {
    /// At least one.
    pub(crate) items: Vec<Item>,
    /// Name of the parameter that they came in: `input`, `messages`.
    pub(crate) param: &'static str,
    /// True if the parameter was a list of inputs.
    pub(crate) listed: bool,
}

// === impl ImageRef ===

impl ImageRef {
    /// Bytes of the file, as far as they came with the request.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            // Base64, for the most part.
            Self::Reference(text) => text.len() / 4 * 3,
            Self::Upload(bytes) => bytes.len(),
        }
    }
}

// === impl Inputs ===

impl Inputs {
    /// What to call an input in an error: `input[3]`, or `input` if it came alone.
    pub(crate) fn name(&self, index: usize) -> String {
        if self.listed {
            format!("{}[{index}]", self.param)
        } else {
            self.param.to_owned()
        }
    }

    /// Takes `input` from the fields.
    ///
    /// # Errors
    /// If it is missing, empty, too long, or holds something that is no input.
    pub(crate) fn take(fields: &mut Fields, limits: &Limits) -> Result<Self, ApiError> {
        let strings = take_modality(fields)?;
        let input = fields.take("input").ok_or(ApiError::missing("input"))?;
        Reader {
            strings,
            limits,
            fields,
        }
        .inputs(input)
    }

    /// Takes `messages` from the fields: one message with one part is one input.
    ///
    /// # Errors
    /// If there is not exactly one part.
    pub(crate) fn take_messages(fields: &mut Fields, limits: &Limits) -> Result<Self, ApiError> {
        let param = "messages";
        let value = fields.take(param).ok_or(ApiError::missing(param))?;
        let Value::Array(mut messages) = value else {
            return Err(ApiError::invalid(
                param,
                format!("messages must be a list, not {}", kind_of(&value)),
            ));
        };
        let (Some(Value::Object(mut message)), 0) = (messages.pop(), messages.len()) else {
            let advice = "messages must hold exactly one message: it becomes one vector, and this server does not \
                          fuse several";
            return Err(ApiError::invalid(param, advice));
        };
        message.remove("role");
        let mut reader = Reader {
            strings: Strings::Text,
            limits,
            fields,
        };
        let content = message
            .remove("content")
            .ok_or(ApiError::missing("messages[0].content"))?;
        reader.rest("messages[]", message);
        let item = reader.content("messages[0]", content)?;
        Ok(Self {
            items: vec![item],
            param,
            listed: false,
        })
    }

    /// Inputs that came as parts of a form, in their order.
    ///
    /// # Errors
    /// If there are none, too many, or an empty one.
    pub(crate) fn from_form(items: Vec<Item>, limits: &Limits) -> Result<Self, ApiError> {
        check_count(items.len(), limits)?;
        for (index, item) in items.iter().enumerate() {
            if let Item::Text(text) = item {
                check_text(&format!("input[{index}]"), text, limits)?;
            }
        }
        Ok(Self {
            items,
            param: "input",
            listed: true,
        })
    }
}

fn take_modality(fields: &mut Fields) -> Result<Strings, ApiError> {
    let modality: Option<String> = fields.optional("modality")?;
    match modality.as_deref() {
        None => Ok(Strings::Auto),
        Some("text") => Ok(Strings::Text),
        Some("image") => Ok(Strings::Image),
        Some(_) => Err(ApiError::invalid("modality", "modality must be 'text' or 'image'")),
    }
}

pub(super) fn check_count(count: usize, limits: &Limits) -> Result<(), ApiError> {
    if count == 0 {
        return Err(ApiError::invalid("input", "input is empty: send at least one"));
    }
    if count > limits.inputs {
        let message = format!("input has {count} entries; at most {} a request", limits.inputs);
        return Err(ApiError::invalid("input", message));
    }
    Ok(())
}

/// Refuses empty texts, as OpenAI does, and overlong ones.
pub(crate) fn check_text(at: &str, text: &str, limits: &Limits) -> Result<(), ApiError> {
    if text.is_empty() {
        return Err(ApiError::invalid(
            at.to_owned(),
            format!("{at} cannot be an empty string"),
        ));
    }
    if text.len() > limits.text_bytes {
        let message = format!("{at} has {} bytes of text; at most {}", text.len(), limits.text_bytes);
        return Err(ApiError::invalid(at.to_owned(), message));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
