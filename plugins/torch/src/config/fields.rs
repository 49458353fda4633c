//! Takes the fields of a configuration one by one, so that what nobody has taken can be refused.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{checkpoint::ModelDir, error::LoadError};

/// The fields of one configuration file that nobody has taken yet.
#[derive(Debug)]
pub(crate) struct Fields {
    label: String,
    map: Map<String, Value>,
}

/// A number for all blocks, or one for each.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum OneOrMany<T> {
    /// The same everywhere.
    One(T),
    /// One for each block.
    Many(Vec<T>),
}

// === impl Fields ===

impl Fields {
    /// Reads a file. Names that begin with `_` are notes that libraries leave, and null is as good as absent.
    ///
    /// # Errors
    /// If it is missing or isn't a JSON object.
    pub(crate) fn read(dir: &ModelDir, file: &str) -> Result<Self, LoadError> {
        let map: Map<String, Value> = dir.require_json(file)?;
        Ok(Self::new(dir.label(file), map))
    }

    /// The fields of an object; `label` is how messages name its file.
    pub(crate) fn new(label: impl Into<String>, map: Map<String, Value>) -> Self {
        let map = map
            .into_iter()
            .filter(|(name, value)| !name.starts_with('_') && !value.is_null());
        Self {
            label: label.into(),
            map: map.collect(),
        }
    }

    /// Takes a field; `None` if it is absent.
    ///
    /// # Errors
    /// If it is of another type.
    pub(crate) fn optional<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, LoadError> {
        let Some(value) = self.map.remove(name) else {
            return Ok(None);
        };
        let shown = value.to_string();
        serde_json::from_value(value)
            .map(Some)
            .map_err(|error| self.error(name, format!("is {shown}: {error}")))
    }

    /// Takes a field; `default` if it is absent.
    ///
    /// # Errors
    /// As [`Fields::optional`].
    pub(crate) fn get<T: DeserializeOwned>(&mut self, name: &str, default: T) -> Result<T, LoadError> {
        Ok(self.optional(name)?.unwrap_or(default))
    }

    /// Takes a whole number that lies in `range`.
    ///
    /// # Errors
    /// As [`Fields::optional`], and if it lies outside.
    pub(crate) fn count(
        &mut self,
        name: &str,
        default: i64,
        range: std::ops::RangeInclusive<i64>,
    ) -> Result<i64, LoadError> {
        let value = self.get(name, default)?;
        match range.contains(&value) {
            true => Ok(value),
            false => {
                let (low, high) = range.into_inner();
                Err(self.error(name, format!("is {value}; it must be {low} to {high}")))
            }
        }
    }

    /// Takes a field that has one supported value, which is also its default.
    ///
    /// # Errors
    /// If it has another.
    pub(crate) fn only(&mut self, name: &str, supported: impl Into<Value>) -> Result<(), LoadError> {
        let (supported, value) = (supported.into(), self.map.remove(name));
        match value {
            Some(value) if !same(&value, &supported) => {
                Err(self.error(name, format!("is {value}; only {supported} is supported")))
            }
            _ => Ok(()),
        }
    }

    /// Refuses a field if it is there: null is the only supported value.
    ///
    /// # Errors
    /// If it has any other.
    pub(crate) fn refuse(&mut self, name: &str) -> Result<(), LoadError> {
        match self.map.remove(name) {
            Some(value) => Err(self.error(name, format!("is {value}, which isn't supported"))),
            None => Ok(()),
        }
    }

    /// Takes fields that don't matter when a model runs.
    pub(crate) fn skip(&mut self, names: &[&str]) {
        for name in names {
            self.map.remove(*name);
        }
    }

    /// Refuses what nobody has taken.
    ///
    /// # Errors
    /// If there is any.
    pub(crate) fn finish(&self) -> Result<(), LoadError> {
        match self.map.iter().next() {
            Some((name, value)) => Err(self.error(name, format!("is {value}, and the field isn't known"))),
            None => Ok(()),
        }
    }

    /// An error about a field; `problem` continues the sentence that its name begins.
    pub(crate) fn error(&self, name: &str, problem: impl std::fmt::Display) -> LoadError {
        LoadError::file(&self.label, format!("{name} {problem}"))
    }
}

/// Numbers are the same if their values are.
fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

// === impl OneOrMany ===

impl<T: Clone> OneOrMany<T> {
    /// One for each of `count` blocks; `None` if there are more or fewer.
    pub(crate) fn spread(self, count: usize) -> Option<Vec<T>> {
        match self {
            Self::One(value) => Some(vec![value; count]),
            Self::Many(values) => (values.len() == count).then_some(values),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields() -> Fields {
        let json = json!({"_class_name": "X", "a": 3, "b": 1.0, "c": null, "d": "x", "e": true});
        let Value::Object(map) = json else { panic!("an object") };
        Fields::new("x/config.json", map)
    }

    #[test]
    fn each_field_is_taken_or_refused_by_name() {
        let mut fields = fields();
        assert_eq!(fields.count("a", 1, 1..=4).expect("in range"), 3);
        fields.only("b", 1).expect("the supported value");
        fields.refuse("c").expect("null is absent");
        let left = fields.finish().expect_err("d and e are left").to_string();
        assert!(
            left.contains("x/config.json: ") && left.contains("isn't known"),
            "{left}"
        );
        let refused = fields.refuse("e").expect_err("e is there").to_string();
        assert!(refused.contains("e is true, which isn't supported"), "{refused}");
        let wrong = fields.get("d", 1).expect_err("d is a string").to_string();
        assert!(wrong.contains("d is \"x\""), "{wrong}");
        fields.finish().expect("all have been taken");
    }
}
