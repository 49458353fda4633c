//! The content of a message: a text, or a list of texts and images.

use sensorium_engine::Role;
use serde_json::Value;

use super::message::Reader;
use crate::error::ApiError;
use crate::wire::fields::kind_of;
use crate::wire::object::Object;

/// A piece of a message.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Part {
    /// Words.
    Text(String),
    /// An image that is not loaded yet.
    Image {
        /// A URL, a `data:` URI or bare base64.
        reference: String,
        /// Where it is: `messages[2].content[1].image_url`.
        at: String,
    },
}

/// The parts of a message's content; none if there is no content.
pub(super) fn take_parts(
    reader: &mut Reader<'_>,
    role: Role,
    at: String,
    content: Option<Value>,
) -> Result<Vec<Part>, ApiError> {
    match content {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => {
            reader.room.part(&at)?;
            reader.room.text(&at, text.len())?;
            Ok(vec![Part::Text(text)])
        }
        Some(Value::Array(list)) if list.is_empty() => {
            let message = format!("{at} is empty: send a text or at least one part");
            Err(ApiError::invalid(at, message))
        }
        Some(Value::Array(list)) => list
            .into_iter()
            .enumerate()
            .map(|(index, value)| part(reader, role, format!("{at}[{index}]"), value))
            .collect(),
        Some(other) => {
            let message = format!("{at} must be a string or an array of parts, not {}", kind_of(&other));
            Err(ApiError::invalid(at, message))
        }
    }
}

fn part(reader: &mut Reader<'_>, role: Role, at: String, value: Value) -> Result<Part, ApiError> {
    reader.room.part(&at)?;
    if let Value::String(text) = value {
        reader.room.text(&at, text.len())?;
        return Ok(Part::Text(text));
    }
    let mut object = Object::new(at, value)?;
    let kind = object.required_string("type")?;
    let part = match kind.as_str() {
        "text" | "input_text" | "output_text" => text(reader, &mut object, "text")?,
        "refusal" => text(reader, &mut object, "refusal")?,
        "image_url" | "input_image" => image(reader, role, &mut object, "image_url")?,
        "image" => image(reader, role, &mut object, "image")?,
        "input_audio" | "audio_url" | "file" | "input_file" | "video_url" | "video" => {
            let message = format!("this server reads no parts of type '{kind}': send text and images");
            return Err(ApiError::unsupported(object.at().to_owned(), message));
        }
        _ => return Err(object.bad("type", "must be one of: text, image_url, refusal")),
    };
    object.finish("messages[].content[]", reader.fields);
    Ok(part)
}

fn text(reader: &mut Reader<'_>, object: &mut Object, key: &str) -> Result<Part, ApiError> {
    let text = object.required_string(key)?;
    reader.room.text(object.at(), text.len())?;
    Ok(Part::Text(text))
}

/// `{"image_url": {"url", "detail"}}`, or the reference itself.
fn image(reader: &mut Reader<'_>, role: Role, object: &mut Object, key: &str) -> Result<Part, ApiError> {
    let at = object.path(key);
    if !matches!(role, Role::User | Role::Tool) {
        let message = format!("{at}: images are read in messages of users and tools only");
        return Err(ApiError::invalid(at, message));
    }
    let reference = match object.take(key) {
        Some(Value::String(reference)) => reference,
        Some(value) => {
            let mut inner = Object::new(at.clone(), value)?;
            let url = inner.required_string("url")?;
            inner.finish(&format!("messages[].content[].{key}"), reader.fields);
            url
        }
        None => return Err(ApiError::missing(at)),
    };
    if reference.is_empty() {
        let message = format!("{at} names no image: send a URL, a data: URI or base64");
        return Err(ApiError::invalid(at, message));
    }
    Ok(Part::Image { reference, at })
}
