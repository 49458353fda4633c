//! The smallest value that follows a JSON Schema, for simple ones.

use serde_json::{Map, Value, json};

/// How deep schemas may be, and references may lead.
const DEPTH: usize = 32;

/// Most items or characters that a schema may ask for.
const LEAST: u64 = 4096;

/// A small value that follows `schema`.
///
/// # Errors
/// What of it is not understood, or can't be followed.
pub(crate) fn instance(schema: &Value) -> Result<Value, String> {
    follow(schema, schema, DEPTH)
}

fn follow(schema: &Value, root: &Value, depth: usize) -> Result<Value, String> {
    let depth = depth.checked_sub(1).ok_or("the schema is too deep")?;
    let schema = match schema {
        Value::Bool(true) => return Ok(json!({})),
        Value::Object(schema) => schema,
        _ => return Err("the schema allows nothing".into()),
    };
    if let Some(constant) = schema.get("const") {
        return Ok(constant.clone());
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return values.first().cloned().ok_or_else(|| "an enum has no values".into());
    }
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let pointer = reference.strip_prefix('#').ok_or("a $ref leads elsewhere")?;
        let target = root
            .pointer(pointer)
            .ok_or_else(|| format!("{reference} leads nowhere"))?;
        return follow(target, root, depth);
    }
    for choice in ["anyOf", "oneOf", "allOf"] {
        if let Some(choices) = schema.get(choice).and_then(Value::as_array) {
            let first = choices.first().ok_or_else(|| format!("{choice} is empty"))?;
            return follow(first, root, depth);
        }
    }
    if schema.contains_key("pattern") {
        return Err("a pattern is not understood".into());
    }
    match kind(schema) {
        "object" => object(schema, root, depth),
        "array" => array(schema, root, depth),
        "string" => Ok("x".repeat(least(schema, "minLength")? as usize).into()),
        "integer" | "number" => Ok(number(schema)),
        "boolean" => Ok(false.into()),
        "null" => Ok(Value::Null),
        other => Err(format!("the type {other} is not known")),
    }
}

/// Its type, or the first of them; where there is none, what its other keywords are about.
fn kind(schema: &Map<String, Value>) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str).unwrap_or("none"),
        _ if schema.contains_key("items") => "array",
        _ => "object",
    }
}

fn object(schema: &Map<String, Value>, root: &Value, depth: usize) -> Result<Value, String> {
    let required = schema.get("required").and_then(Value::as_array);
    let mut object = Map::new();
    for name in required.into_iter().flatten().filter_map(Value::as_str) {
        let property = schema.get("properties").and_then(|properties| properties.get(name));
        object.insert(
            name.into(),
            follow(property.unwrap_or(&Value::Bool(true)), root, depth)?,
        );
    }
    Ok(object.into())
}

fn array(schema: &Map<String, Value>, root: &Value, depth: usize) -> Result<Value, String> {
    let items = schema.get("items").unwrap_or(&Value::Bool(true));
    let count = least(schema, "minItems")?;
    (0..count).map(|_| follow(items, root, depth)).collect()
}

fn number(schema: &Map<String, Value>) -> Value {
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    let least = bound("minimum").or_else(|| bound("exclusiveMinimum").map(|bound| bound + 1.0));
    let most = bound("maximum").or_else(|| bound("exclusiveMaximum").map(|bound| bound - 1.0));
    let number = 0.0_f64.max(least.unwrap_or(0.0)).min(most.unwrap_or(f64::MAX)).ceil();
    // Whole numbers are written without a point.
    json!(number as i64)
}

fn least(schema: &Map<String, Value>, name: &str) -> Result<u64, String> {
    match schema.get(name).and_then(Value::as_u64) {
        Some(least) if least > LEAST => Err(format!("{name} is over {LEAST}")),
        least => Ok(least.unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_value_follows_the_schema() {
        for (schema, expected) in [
            (json!({}), json!({})),
            (json!(true), json!({})),
            (json!({"type": "string", "minLength": 2}), json!("xx")),
            (json!({"type": ["integer", "null"], "minimum": 3}), json!(3)),
            (json!({"type": "number", "exclusiveMaximum": -1}), json!(-2)),
            (json!({"enum": ["red", "blue"]}), json!("red")),
            (json!({"anyOf": [{"type": "boolean"}, {"type": "null"}]}), json!(false)),
            (json!({"items": {"const": 1}, "minItems": 2}), json!([1, 1])),
            (
                json!({
                    "type": "object",
                    "properties": {"a": {"$ref": "#/$defs/A"}, "b": {"type": "string"}, "c": {"type": "null"}},
                    "required": ["a", "c"],
                    "$defs": {"A": {"type": "array", "items": {"type": "string"}}},
                }),
                json!({"a": [], "c": null}),
            ),
        ] {
            assert_eq!(instance(&schema), Ok(expected), "{schema}");
        }
    }

    #[test]
    fn what_can_not_be_followed_is_refused() {
        for schema in [
            json!(false),
            json!({"type": "string", "pattern": "^a$"}),
            json!({"type": "dance"}),
            json!({"enum": []}),
            json!({"$ref": "#/nowhere"}),
            json!({"$ref": "https://example.com"}),
            json!({"$ref": "#"}),
            json!({"type": "string", "minLength": 1_000_000}),
        ] {
            assert!(instance(&schema).is_err(), "{schema}");
        }
    }
}
