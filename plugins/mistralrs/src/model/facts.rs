//! Numbers and lists out of configuration files, with errors that name the file and the key.

use serde_json::{Map, Value};

use crate::error::LoadError;

/// A JSON object of a file of the model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    file: &'a str,
    object: &'a Map<String, Value>,
}

// === impl Facts ===

impl<'a> Facts<'a> {
    /// `object` is what `file` holds.
    pub(crate) fn new(file: &'a str, object: &'a Map<String, Value>) -> Self {
        Self { file, object }
    }

    /// The object under `key`, or an error if there is none.
    ///
    /// # Errors
    /// If there is no such object.
    pub(crate) fn section(self, key: &str) -> Result<Self, LoadError> {
        match self.object.get(key).and_then(Value::as_object) {
            Some(object) => Ok(Self { object, ..self }),
            None => Err(self.error(key, "is missing or no object")),
        }
    }

    /// The object under `key`, or this one: newer models keep their language model apart, older ones don't.
    pub(crate) fn section_or_self(self, key: &str) -> Self {
        match self.object.get(key).and_then(Value::as_object) {
            Some(object) => Self { object, ..self },
            None => self,
        }
    }

    /// A whole number, or `None` if there is none.
    ///
    /// # Errors
    /// If there is something else.
    pub(crate) fn number(self, key: &str) -> Result<Option<u32>, LoadError> {
        match self.object.get(key) {
            None => Ok(None),
            Some(value) => match value.as_u64().and_then(|number| u32::try_from(number).ok()) {
                Some(number) => Ok(Some(number)),
                None => Err(self.error(key, &format!("is {value}; it is a whole number"))),
            },
        }
    }

    /// A whole number of at least 1.
    ///
    /// # Errors
    /// If it is missing or something else.
    pub(crate) fn positive(self, key: &str) -> Result<u32, LoadError> {
        match self.number(key)? {
            Some(number) if number > 0 => Ok(number),
            Some(_) => Err(self.error(key, "is 0; it is at least 1")),
            None => Err(self.error(key, "is missing")),
        }
    }

    /// A boolean, or `default` if there is none.
    pub(crate) fn flag(self, key: &str, default: bool) -> bool {
        self.object.get(key).and_then(Value::as_bool).unwrap_or(default)
    }

    /// One number or a list of them; empty if there is none.
    pub(crate) fn ids(self, key: &str) -> Vec<u32> {
        let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
        match self.object.get(key) {
            Some(Value::Array(values)) => values.iter().filter_map(id).collect(),
            Some(value) => id(value).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// What is wrong with `key`.
    pub(crate) fn error(self, key: &str, problem: &str) -> LoadError {
        LoadError::file(self.file, format!("`{key}` {problem}"))
    }
}
