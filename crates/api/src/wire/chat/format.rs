//! What shape a reply has. A schema always binds, whether the client says `strict` or not.

use sensorium_engine::OutputFormat;
use serde_json::Value;

use super::tool::{NAME_RULE, is_name};
use crate::config::Limits;
use crate::error::ApiError;
use crate::wire::fields::{Fields, kind_of};
use crate::wire::object::Object;

/// Takes `response_format`.
///
/// # Errors
/// Naming what is wrong in it.
pub(crate) fn take_format(fields: &mut Fields, limits: &Limits) -> Result<OutputFormat, ApiError> {
    let at = "response_format";
    let Some(value) = fields.take(at) else {
        return Ok(OutputFormat::Text);
    };
    let mut object = Object::new(at, value)?;
    let format = match object.required_string("type")?.as_str() {
        "text" => OutputFormat::Text,
        "json_object" => OutputFormat::JsonObject,
        "json_schema" => take_schema(fields, object.required_object("json_schema")?, limits)?,
        _ => return Err(object.bad("type", "must be one of: text, json_object, json_schema")),
    };
    object.finish(at, fields);
    Ok(format)
}

fn take_schema(fields: &mut Fields, mut object: Object, limits: &Limits) -> Result<OutputFormat, ApiError> {
    let name = object.required_string("name")?;
    if !is_name(&name) {
        return Err(object.bad("name", NAME_RULE));
    }
    // Both ways the reply follows it.
    object.bool("strict")?;
    let format = match object.take("schema") {
        None => OutputFormat::JsonObject,
        Some(schema) => {
            check_schema(&object.path("schema"), &schema, limits)?;
            OutputFormat::JsonSchema(schema)
        }
    };
    object.finish("response_format.json_schema", fields);
    Ok(format)
}

/// Holds a JSON Schema against the limits, before anything compiles it. Gives its length in bytes.
///
/// # Errors
/// If it is no object, too long, or nested too deeply.
pub(crate) fn check_schema(at: &str, schema: &Value, limits: &Limits) -> Result<usize, ApiError> {
    let bad = |message: String| Err(ApiError::invalid(at.to_owned(), format!("{at} {message}")));
    if !schema.is_object() {
        return bad(format!("must be a JSON Schema object, not {}", kind_of(schema)));
    }
    if depth(schema) > limits.schema_depth {
        return bad(format!("is nested more than {} levels deep", limits.schema_depth));
    }
    let bytes = schema.to_string().len();
    if bytes > limits.schema_bytes {
        return bad(format!("has {bytes} bytes; at most {}", limits.schema_bytes));
    }
    Ok(bytes)
}

/// Levels of lists and objects; the parser has bounded them already.
fn depth(value: &Value) -> usize {
    let inner = match value {
        Value::Array(list) => list.iter().map(depth).max(),
        Value::Object(map) => map.values().map(depth).max(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return 0,
    };
    1 + inner.unwrap_or(0)
}
