//! `multipart/form-data`: the same requests as JSON, with files beside them.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::input::{ImageRef, Item};
use crate::error::ApiError;

/// A form: its inputs in the order of its parts, and its other fields.
#[derive(Debug)]
pub(crate) struct Form {
    /// `input` and `text` parts are texts; `image`, `file` and parts with a file name are images.
    pub(crate) items: Vec<Item>,
    /// All other fields, as if they had come as JSON.
    pub(crate) fields: Map<String, Value>,
}

/// One part of a form.
#[derive(Debug)]
pub(super) struct Part {
    /// Its name, without a `[]` behind it.
    pub(super) name: String,
    /// True if it is a file.
    pub(super) file: bool,
    pub(super) value: Bytes,
}

/// Parts beside the inputs.
const OTHER_PARTS: usize = 2048;

/// Fields that are lists even if they come once; they repeat, or are called `name[]`.
const LISTS: [&str; 2] = ["labels", "templates"];

/// Fields whose text is a JSON number or boolean.
const SCALARS: [&str; 2] = ["dimensions", "truncate"];

/// No number or boolean is longer; what is stays text, which costs nothing to parse.
const LONGEST_SCALAR: usize = 64;

// === impl Form ===

impl Form {
    /// Parses a whole body.
    ///
    /// # Errors
    /// If the boundary or a part's head is bad, or a text is not UTF-8.
    pub(crate) async fn parse(content_type: &str, body: Bytes, inputs: usize) -> Result<Self, ApiError> {
        let mut form = Self {
            items: Vec::new(),
            fields: Map::new(),
        };
        for Part { name, file, value } in parts(content_type, body, inputs + OTHER_PARTS).await? {
            form.add(name, file, value)?;
        }
        Ok(form)
    }

    fn add(&mut self, name: String, file: bool, value: Bytes) -> Result<(), ApiError> {
        match name.as_str() {
            "input" | "text" | "image" | "file" if file => {
                if value.is_empty() {
                    return Err(ApiError::invalid(name, "the uploaded file is empty"));
                }
                self.items.push(Item::Image(ImageRef::Upload(value)));
            }
            "input" | "text" => self.items.push(Item::Text(utf8(&name, value)?)),
            "image" | "file" => self.items.push(Item::Image(ImageRef::Reference(utf8(&name, value)?))),
            "" => return Err(ApiError::malformed("a part of the form has no name")),
            _ if file => {
                return Err(ApiError::invalid(
                    name,
                    "files are taken as 'image', 'file' or 'input' only",
                ));
            }
            _ => {
                let text = utf8(&name, value)?;
                self.field(name, text)?;
            }
        }
        Ok(())
    }

    fn field(&mut self, name: String, text: String) -> Result<(), ApiError> {
        if LISTS.contains(&name.as_str()) {
            let list = self.fields.entry(name).or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(list) = list {
                list.push(Value::String(text));
            }
            return Ok(());
        }
        let value = if SCALARS.contains(&name.as_str()) {
            scalar(text)
        } else {
            Value::String(text)
        };
        insert_once(&mut self.fields, name, value)
    }
}

/// The parts of a whole body, of which there are at most `most`.
///
/// # Errors
/// If the boundary or a part's head is bad, or there are more.
pub(super) async fn parts(content_type: &str, body: Bytes, most: usize) -> Result<Vec<Part>, ApiError> {
    let boundary = multer::parse_boundary(content_type).map_err(|error| broken(&error))?;
    let stream = futures::stream::once(async move { Ok::<_, std::convert::Infallible>(body) });
    let mut form = multer::Multipart::new(stream, boundary);
    let mut parts = Vec::new();
    while let Some(part) = form.next_field().await.map_err(|error| broken(&error))? {
        if parts.len() == most {
            return Err(ApiError::malformed(format!("the form has more than {most} parts")));
        }
        let name = part.name().unwrap_or_default().trim_end_matches("[]").to_owned();
        let file = part.file_name().is_some() || part.content_type().is_some_and(|mime| mime.type_() == "image");
        let value = part.bytes().await.map_err(|error| broken(&error))?;
        parts.push(Part { name, file, value });
    }
    Ok(parts)
}

/// A number or boolean, as if it had come as JSON; text that is none stays as it is.
pub(super) fn scalar(text: String) -> Value {
    let short = text.len() <= LONGEST_SCALAR;
    match short.then(|| serde_json::from_str::<Value>(text.trim())) {
        Some(Ok(value)) => value,
        _ => Value::String(text),
    }
}

/// Adds a field.
///
/// # Errors
/// If the form has had it already.
pub(super) fn insert_once(fields: &mut Map<String, Value>, name: String, value: Value) -> Result<(), ApiError> {
    if fields.contains_key(&name) {
        return Err(ApiError::invalid(name, "the form has this field twice"));
    }
    fields.insert(name, value);
    Ok(())
}

/// The text of a part.
///
/// # Errors
/// If it is not UTF-8.
pub(super) fn utf8(name: &str, value: Bytes) -> Result<String, ApiError> {
    String::from_utf8(value.into()).map_err(|_| ApiError::invalid(name.to_owned(), "the field is not UTF-8 text"))
}

fn broken(error: &multer::Error) -> ApiError {
    ApiError::malformed(format!("the form can't be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn parts_become_inputs_and_fields() {
        let body = "--B\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nm\r\n\
                    --B\r\ncontent-disposition: form-data; name=\"input\"\r\n\r\na text\r\n\
                    --B\r\ncontent-disposition: form-data; name=\"image\"; filename=\"x.png\"\r\n\r\n\x01\x02\r\n\
                    --B\r\ncontent-disposition: form-data; name=\"image\"\r\n\r\nhttps://x/y\r\n\
                    --B\r\ncontent-disposition: form-data; name=\"labels[]\"\r\n\r\none\r\n\
                    --B\r\ncontent-disposition: form-data; name=\"dimensions\"\r\n\r\n8\r\n--B--\r\n";
        let form = Form::parse("multipart/form-data; boundary=B", Bytes::from(body), 4)
            .await
            .unwrap();
        let upload = Item::Image(ImageRef::Upload(Bytes::from_static(&[1, 2])));
        let link = Item::Image(ImageRef::Reference("https://x/y".into()));
        assert_eq!(form.items, [Item::Text("a text".into()), upload, link]);
        assert_eq!(
            Value::Object(form.fields),
            serde_json::json!({"model": "m", "labels": ["one"], "dimensions": 8})
        );
    }

    #[tokio::test]
    async fn bad_forms_are_refused() {
        for (content_type, body) in [
            ("multipart/form-data", ""),
            (
                "multipart/form-data; boundary=B",
                "--B\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nm",
            ),
            ("multipart/form-data; boundary=B", "nothing"),
        ] {
            assert!(Form::parse(content_type, Bytes::from(body), 4).await.is_err(), "{body}");
        }
    }
}
