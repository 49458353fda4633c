//! The fields of a request, taken one by one: whatever is left at the end was not
//! understood, and the client is told so.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::ApiError;

/// The top-level fields of a request body.
#[derive(Debug)]
pub(crate) struct Fields {
    map: Map<String, Value>,
    ignored: BTreeSet<String>,
}

// === impl Fields ===

impl Fields {
    /// Fields that were parsed already.
    pub(crate) fn new(map: Map<String, Value>) -> Self {
        Self {
            map,
            ignored: BTreeSet::new(),
        }
    }

    /// Parses a JSON object. Depth is bounded by serde_json (128 levels).
    ///
    /// # Errors
    /// With line and column if it is not JSON, or not an object.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Err(ApiError::malformed("the body is empty: send a JSON object"));
        }
        let value: Value = serde_json::from_slice(body)
            .map_err(|error| ApiError::malformed(format!("the body is not valid JSON: {error}")))?;
        match value {
            Value::Object(map) => Ok(Self::new(map)),
            other => Err(ApiError::malformed(format!(
                "the body must be a JSON object, not {}",
                kind_of(&other)
            ))),
        }
    }

    /// Takes a field; `null` is the same as absent, as OpenAI's clients mean it.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.map.remove(name).filter(|value| !value.is_null())
    }

    /// True if a field is present and not `null`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.map.get(name).is_some_and(|value| !value.is_null())
    }

    /// Takes a field of a type.
    ///
    /// # Errors
    /// Naming the field if its value has another type.
    pub(crate) fn optional<T: DeserializeOwned>(&mut self, name: &'static str) -> Result<Option<T>, ApiError> {
        self.take(name)
            .map(|value| {
                serde_json::from_value(value).map_err(|error| ApiError::invalid(name, format!("{name}: {error}")))
            })
            .transpose()
    }

    /// Takes a field that must be there.
    ///
    /// # Errors
    /// Naming the field if it is missing or has another type.
    pub(crate) fn required<T: DeserializeOwned>(&mut self, name: &'static str) -> Result<T, ApiError> {
        self.optional(name)?.ok_or(ApiError::missing(name))
    }

    /// Refuses fields that are known elsewhere but that nothing here honours.
    ///
    /// # Errors
    /// Naming the first of `rows` (name, advice) that is present.
    pub(crate) fn refuse(&mut self, rows: &[(&'static str, &str)]) -> Result<(), ApiError> {
        for (name, advice) in rows {
            if self.take(name).is_some() {
                return Err(ApiError::unsupported(
                    *name,
                    format!("{name} is not supported: {advice}"),
                ));
            }
        }
        Ok(())
    }

    /// As [`Self::refuse`], but for the one value of each that asks for nothing.
    ///
    /// # Errors
    /// Naming the first of `rows` (name, harmless value, advice) that is present with another value.
    pub(crate) fn refuse_unless(&mut self, rows: &[(&'static str, Value, &str)]) -> Result<(), ApiError> {
        for (name, harmless, advice) in rows {
            if self.take(name).is_some_and(|value| value != *harmless) {
                let message = format!("{name} is not supported: {advice}");
                return Err(ApiError::unsupported(*name, message));
            }
        }
        Ok(())
    }

    /// Notes something inside a field that was not understood: `input[].foo`.
    pub(crate) fn ignore(&mut self, path: impl Into<String>) {
        self.ignored.insert(path.into());
    }

    /// The names of everything that was not taken, sorted.
    pub(crate) fn finish(mut self) -> Vec<String> {
        self.ignored.extend(
            self.map
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, _)| name),
        );
        self.ignored.into_iter().collect()
    }
}

/// What a JSON value is, in words for an error message.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_taken_is_reported() {
        let mut fields = Fields::parse(br#"{"model":"m","user":"u","x":null,"zeta":1}"#).unwrap();
        assert_eq!(fields.required::<String>("model").unwrap(), "m");
        assert_eq!(fields.optional::<u32>("x").unwrap(), None);
        fields.ignore("input[].detail");
        assert_eq!(fields.finish(), ["input[].detail", "user", "zeta"]);
    }

    #[test]
    fn bad_bodies_say_where() {
        for (body, expected) in [
            (&b"{\"a\":"[..], "column 5"),
            (b"[1]", "not an array"),
            (b"  ", "empty"),
            (&b"[".repeat(100_000), "recursion limit"),
        ] {
            let error = Fields::parse(body).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
