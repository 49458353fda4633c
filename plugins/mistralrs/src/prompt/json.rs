//! JSON within templates: objects keep the order of their members, and `tojson` writes what Python's `json.dumps` does,
//! which is what models were trained on.

use std::{fmt, io, sync::Arc};

use minijinja::value::{Enumerator, Object, ObjectRepr, Value as Jinja};
use serde::Serialize;
use serde_json::{Value, ser::Formatter};

/// A JSON array or object.
#[derive(Debug)]
struct Json(Value);

/// `json.dumps` without `indent`: a space after `,` and `:`.
struct Spaced;

/// A JSON value as templates see it.
pub(crate) fn to_jinja(value: Value) -> Jinja {
    match value {
        Value::Array(_) | Value::Object(_) => Jinja::from_object(Json(value)),
        plain => Jinja::from_serialize(plain),
    }
}

/// What a template's `tojson` filter writes.
///
/// # Errors
/// If the value can't be written as JSON.
pub(crate) fn tojson(value: &Jinja, indent: Option<usize>) -> Result<String, String> {
    let json = to_json(value)?;
    let mut bytes = Vec::new();
    let written = match indent {
        None => json.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, Spaced)),
        Some(width) => {
            let indent = " ".repeat(width);
            let pretty = serde_json::ser::PrettyFormatter::with_indent(indent.as_bytes());
            json.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, pretty))
        }
    };
    written.map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|error| error.to_string())
}

fn to_json(value: &Jinja) -> Result<Value, String> {
    match value.downcast_object_ref::<Json>() {
        Some(json) => Ok(json.0.clone()),
        None => serde_json::to_value(value).map_err(|error| error.to_string()),
    }
}

// === impl Json ===

impl Object for Json {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        match self.0 {
            Value::Array(_) => ObjectRepr::Seq,
            _ => ObjectRepr::Map,
        }
    }

    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        let found = match &self.0 {
            Value::Array(items) => items.get(key.as_usize()?),
            Value::Object(members) => members.get(key.as_str()?),
            _ => None,
        };
        found.cloned().map(to_jinja)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        match &self.0 {
            Value::Array(items) => Enumerator::Seq(items.len()),
            Value::Object(members) => Enumerator::Values(members.keys().map(Jinja::from).collect()),
            _ => Enumerator::NonEnumerable,
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&tojson(&Jinja::from_dyn_object(self.clone()), None).unwrap_or_default())
    }
}

// === impl Spaced ===

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_written_as_python_does() {
        let value = to_jinja(json!({"z": [1, {"ü": "<b>"}], "a": null, "n": 1.5}));
        assert_eq!(
            tojson(&value, None),
            Ok(r#"{"z": [1, {"ü": "<b>"}], "a": null, "n": 1.5}"#.to_owned())
        );
        assert_eq!(tojson(&Jinja::from("x\n"), None), Ok(r#""x\n""#.to_owned()));
        assert_eq!(tojson(&to_jinja(json!([1])), Some(2)), Ok("[\n  1\n]".to_owned()));
    }
}
