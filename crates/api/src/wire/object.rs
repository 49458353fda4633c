//! An object inside a request, taken key by key like the request itself, with its place for errors.

use serde_json::{Map, Value};

use super::fields::{Fields, kind_of};
use crate::error::ApiError;

/// An object and where it is: `messages[2].content[0]`.
#[derive(Debug)]
pub(crate) struct Object {
    at: String,
    map: Map<String, Value>,
}

// === impl Object ===

impl Object {
    /// The object at a place.
    ///
    /// # Errors
    /// If it is none.
    pub(crate) fn new(at: impl Into<String>, value: Value) -> Result<Self, ApiError> {
        let at = at.into();
        match value {
            Value::Object(map) => Ok(Self { at, map }),
            other => {
                let message = format!("{at} must be an object, not {}", kind_of(&other));
                Err(ApiError::invalid(at, message))
            }
        }
    }

    /// Where it is.
    pub(crate) fn at(&self) -> &str {
        &self.at
    }

    /// Where one of its keys is.
    pub(crate) fn path(&self, key: &str) -> String {
        format!("{}.{key}", self.at)
    }

    /// Takes a key; `null` is the same as absent.
    pub(crate) fn take(&mut self, key: &str) -> Option<Value> {
        self.map.remove(key).filter(|value| !value.is_null())
    }

    /// Takes a text.
    ///
    /// # Errors
    /// If it is something else.
    pub(crate) fn string(&mut self, key: &str) -> Result<Option<String>, ApiError> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(key, "a string", &other)),
        }
    }

    /// Takes a text that must be there.
    ///
    /// # Errors
    /// If it is missing or something else.
    pub(crate) fn required_string(&mut self, key: &str) -> Result<String, ApiError> {
        self.string(key)?.ok_or_else(|| ApiError::missing(self.path(key)))
    }

    /// Takes a truth value.
    ///
    /// # Errors
    /// If it is something else.
    pub(crate) fn bool(&mut self, key: &str) -> Result<Option<bool>, ApiError> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(other) => Err(self.wrong(key, "a boolean", &other)),
        }
    }

    /// Takes a list.
    ///
    /// # Errors
    /// If it is something else.
    pub(crate) fn list(&mut self, key: &str) -> Result<Option<Vec<Value>>, ApiError> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Array(list)) => Ok(Some(list)),
            Some(other) => Err(self.wrong(key, "an array", &other)),
        }
    }

    /// Takes an object that must be there.
    ///
    /// # Errors
    /// If it is missing or something else.
    pub(crate) fn required_object(&mut self, key: &str) -> Result<Object, ApiError> {
        let path = self.path(key);
        let value = self.take(key).ok_or_else(|| ApiError::missing(path.clone()))?;
        Object::new(path, value)
    }

    /// A key has a value that it can't have.
    pub(crate) fn bad(&self, key: &str, message: impl AsRef<str>) -> ApiError {
        let path = self.path(key);
        let message = format!("{path} {}", message.as_ref());
        ApiError::invalid(path, message)
    }

    /// Notes what was not taken, under a place without indices: `messages[]`. Empty lists say nothing.
    pub(crate) fn finish(self, place: &str, fields: &mut Fields) {
        for (key, value) in self.map {
            if !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty()) {
                fields.ignore(format!("{place}.{key}"));
            }
        }
    }

    fn wrong(&self, key: &str, wanted: &str, value: &Value) -> ApiError {
        self.bad(key, format!("must be {wanted}, not {}", kind_of(value)))
    }
}
