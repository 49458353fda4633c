//! One input as a client wrote it, in any of the accepted forms.

use serde_json::{Map, Value};

use super::fields::{Fields, kind_of};
use super::input::{ImageRef, Inputs, Item, Strings, check_count, check_text};
use crate::config::Limits;
use crate::error::ApiError;

/// Reads inputs and notes what it did not understand.
pub(super) struct Reader<'a> {
    pub(super) strings: Strings,
    pub(super) limits: &'a Limits,
    pub(super) fields: &'a mut Fields,
}

// === impl Reader ===

impl Reader<'_> {
    /// All of `input`: one input, or a list of them.
    pub(super) fn inputs(&mut self, input: Value) -> Result<Inputs, ApiError> {
        let param = "input";
        let items = match input {
            Value::Array(list) if list.first().is_some_and(Value::is_number) => {
                let item = self.tokens(param, list)?;
                return Ok(Inputs {
                    items: vec![item],
                    param,
                    listed: false,
                });
            }
            Value::Array(list) => list,
            single => {
                let item = self.item(param, single)?;
                return Ok(Inputs {
                    items: vec![item],
                    param,
                    listed: false,
                });
            }
        };
        check_count(items.len(), self.limits)?;
        let items = items
            .into_iter()
            .enumerate()
            .map(|(index, value)| self.item(&format!("{param}[{index}]"), value))
            .collect::<Result<_, _>>()?;
        Ok(Inputs {
            items,
            param,
            listed: true,
        })
    }

    fn item(&mut self, at: &str, value: Value) -> Result<Item, ApiError> {
        match value {
            Value::String(text) => self.string(at, text),
            Value::Array(ids) => self.tokens(at, ids),
            Value::Object(object) => self.object(at, object),
            other => Err(bad(
                at,
                format!("{at} must be a text, an image or token ids, not {}", kind_of(&other)),
            )),
        }
    }

    fn string(&self, at: &str, text: String) -> Result<Item, ApiError> {
        match self.strings {
            Strings::Auto if is_image_uri(&text) => image(at, text),
            Strings::Image => image(at, text),
            Strings::Auto | Strings::Text => self.text(at, text),
        }
    }

    fn text(&self, at: &str, text: String) -> Result<Item, ApiError> {
        check_text(at, &text, self.limits)?;
        Ok(Item::Text(text))
    }

    fn tokens(&self, at: &str, ids: Vec<Value>) -> Result<Item, ApiError> {
        if ids.is_empty() {
            return Err(bad(at, format!("{at} has no token ids")));
        }
        if ids.len() > self.limits.text_bytes {
            return Err(bad(
                at,
                format!("{at} has {} token ids; at most {}", ids.len(), self.limits.text_bytes),
            ));
        }
        let ids = ids
            .iter()
            .map(|id| id.as_u64().and_then(|id| u32::try_from(id).ok()))
            .collect::<Option<_>>();
        ids.map(Item::Tokens)
            .ok_or_else(|| bad(at, format!("{at} must hold token ids: integers from 0, nothing else")))
    }

    /// `{"text"}`, `{"image"}`, `{"content"}` or a part with its `type`.
    fn object(&mut self, at: &str, mut object: Map<String, Value>) -> Result<Item, ApiError> {
        object.retain(|_, value| !value.is_null());
        if let Some(content) = object.remove("content") {
            object.remove("role");
            self.rest("input[]", object);
            return self.content(at, content);
        }
        if object.contains_key("type") {
            return self.part(at, object);
        }
        let item = match (object.remove("text"), object.remove("image")) {
            (Some(text), None) => self.text(at, string(at, "text", text)?)?,
            (None, Some(source)) => image(at, string(at, "image", source)?)?,
            (Some(_), Some(_)) => {
                let advice =
                    format!("{at} has a text and an image: give each its own object, since one input is one vector");
                return Err(bad(at, advice));
            }
            (None, None) => return Err(bad(at, format!("{at} must have one of: text, image, content"))),
        };
        self.rest("input[]", object);
        Ok(item)
    }

    /// A string, or a list of exactly one part.
    pub(super) fn content(&mut self, at: &str, content: Value) -> Result<Item, ApiError> {
        match content {
            Value::String(text) => self.text(at, text),
            Value::Array(mut parts) => match (parts.pop(), parts.len()) {
                (Some(Value::Object(part)), 0) => self.part(at, part),
                (Some(Value::String(text)), 0) => self.text(at, text),
                (_, others) => {
                    let advice = format!(
                        "the content of {at} must be exactly one part, not {}: one input is one vector, and this \
                         server does not fuse several",
                        if others == 0 {
                            "none".to_owned()
                        } else {
                            (others + 1).to_string()
                        }
                    );
                    Err(bad(at, advice))
                }
            },
            other => Err(bad(
                at,
                format!(
                    "the content of {at} must be a string or a list, not {}",
                    kind_of(&other)
                ),
            )),
        }
    }

    /// `{"type":"text","text"}`, `{"type":"image_url","image_url":{"url"}}` and their kin.
    fn part(&mut self, at: &str, mut part: Map<String, Value>) -> Result<Item, ApiError> {
        let kind = string(at, "type", part.remove("type").unwrap_or(Value::Null))?;
        let item = match kind.as_str() {
            "text" | "input_text" => {
                let text = part.remove("text").unwrap_or(Value::Null);
                self.text(at, string(at, "text", text)?)?
            }
            "image_url" | "input_image" => match part.remove("image_url") {
                Some(Value::Object(mut object)) => {
                    let url = object.remove("url").unwrap_or(Value::Null);
                    self.rest("input[].image_url", object);
                    image(at, string(at, "image_url.url", url)?)?
                }
                other => image(at, string(at, "image_url", other.unwrap_or(Value::Null))?)?,
            },
            "image" | "image_base64" => {
                let source = part.remove(&kind).unwrap_or(Value::Null);
                image(at, string(at, &kind, source)?)?
            }
            other => {
                let other: String = other.chars().take(40).collect();
                return Err(bad(
                    at,
                    format!("{at} has the part type '{other}'; supported: text, image_url"),
                ));
            }
        };
        self.rest("input[]", part);
        Ok(item)
    }

    /// Notes keys that were not understood.
    pub(super) fn rest(&mut self, at: &str, object: Map<String, Value>) {
        for (key, value) in object {
            if !value.is_null() {
                self.fields.ignore(format!("{at}.{key}"));
            }
        }
    }
}

fn image(at: &str, reference: String) -> Result<Item, ApiError> {
    if reference.is_empty() {
        return Err(bad(
            at,
            format!("{at} names no image: send a URL, a data: URI or base64"),
        ));
    }
    Ok(Item::Image(ImageRef::Reference(reference)))
}

fn string(at: &str, key: &str, value: Value) -> Result<String, ApiError> {
    match value {
        Value::String(text) => Ok(text),
        Value::Null => Err(bad(at, format!("{at} lacks '{key}'"))),
        other => Err(bad(
            at,
            format!("'{key}' of {at} must be a string, not {}", kind_of(&other)),
        )),
    }
}

fn is_image_uri(text: &str) -> bool {
    text.get(..11)
        .is_some_and(|start| start.eq_ignore_ascii_case("data:image/"))
}

fn bad(at: &str, message: String) -> ApiError {
    ApiError::invalid(at.to_owned(), message)
}
