//! JSON Schemas made fit for the grammar engine: what it can't hold to is refused by name, and what it would leave
//! open-ended is bounded. Every text that the result admits is valid under the schema given, though not the other way round.

use serde_json::{Map, Value, json};

use super::{
    bounds::bound_numbers,
    pointer::{Pointer, resolve},
    walk::Walk,
};

/// Most bytes of a schema, as JSON.
const MAX_BYTES: usize = 256 * 1024;

/// Depth of values that a schema leaves open ("any object").
const ANY_DEPTH: usize = 8;

/// Why a schema can't be followed, for the caller's eyes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at {at}")]
pub(crate) struct SchemaError {
    /// A JSON pointer, as `#/properties/a`.
    pub(crate) at: String,
    pub(crate) problem: String,
}

/// The schema of any JSON object of bounded depth.
pub(crate) fn any_object() -> Value {
    json!({
        "type": "object",
        "additionalProperties": any(1),
        "$defs": any_definitions(),
        "x-guidance": options(),
    })
}

/// `schema` as the grammar engine takes it.
///
/// # Errors
/// The first part of the schema that can't be held to.
pub(crate) fn normalise(schema: &Value) -> Result<Value, SchemaError> {
    let root = Pointer::root();
    let bytes = schema.to_string().len();
    if bytes > MAX_BYTES {
        return Err(root.error(format!("the schema has {bytes} bytes; it may have {MAX_BYTES}")));
    }
    let mut walk = Walk::new(schema, !composes(schema));
    let mut result = walk.visit(schema, &root, 0)?;
    let mut definitions = any_definitions();
    while let Some((name, target)) = walk.next_reference() {
        let value = resolve(schema, &target).map_err(|problem| root.error(problem))?;
        let definition = walk.visit(value, &Pointer::at(&target), 0)?;
        definitions.insert(name, definition);
    }
    if let Value::Bool(_) = result {
        result = json!({ "allOf": [result] });
    }
    result["$defs"] = Value::Object(definitions);
    result["x-guidance"] = options();
    Ok(result)
}

/// How the grammar engine lays JSON out: at most one blank after a comma or colon, so that a weak model can't go on in
/// blanks for ever; no control characters in strings.
fn options() -> Value {
    json!({
        "item_separator": ", ?",
        "key_separator": ": ?",
        "whitespace_flexible": false,
        "json_allowed_escapes": "nrbtf\\\"",
    })
}

/// A reference to "any value", `depth` levels below the top.
pub(super) fn any(depth: usize) -> Value {
    json!({ "$ref": format!("#/$defs/any{}", depth.min(ANY_DEPTH)) })
}

fn any_definitions() -> Map<String, Value> {
    let mut number = Map::from_iter([("type".to_owned(), json!("number"))]);
    bound_numbers(&mut number);
    let level = |depth: usize| {
        let mut options = vec![
            json!({ "type": "null" }),
            json!({ "type": "boolean" }),
            json!({ "type": "string" }),
            Value::Object(number.clone()),
        ];
        if depth < ANY_DEPTH {
            options.push(json!({ "type": "array", "items": any(depth + 1) }));
            options.push(json!({ "type": "object", "additionalProperties": any(depth + 1) }));
        }
        (format!("any{depth}"), json!({ "anyOf": options }))
    };
    (0..=ANY_DEPTH).map(level).collect()
}

/// True if subschemas of one value are combined somewhere. Then an object can't be closed to the properties that one
/// of them names.
fn composes(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => {
            let several = map
                .get("allOf")
                .and_then(Value::as_array)
                .is_some_and(|all| all.len() > 1);
            let beside = ["$ref", "allOf", "anyOf", "oneOf"]
                .iter()
                .any(|&key| map.contains_key(key))
                && ["properties", "required", "additionalProperties", "patternProperties"]
                    .iter()
                    .any(|&key| map.contains_key(key));
            several || beside || map.values().any(composes)
        }
        Value::Array(items) => items.iter().any(composes),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `schema` becomes, without the definitions and options that every result has.
    fn normal(schema: &Value) -> Value {
        let mut normal = normalise(schema).expect("it can be held to");
        let map = normal.as_object_mut().expect("it is an object");
        map.remove("$defs");
        map.remove("x-guidance");
        normal
    }

    #[test]
    fn what_is_open_is_closed_and_what_is_endless_bounded() {
        let any = |depth: usize| json!({ "$ref": format!("#/$defs/any{depth}") });
        let rows = [
            (json!({}), any(0)),
            (json!(true), any(0)),
            (json!({ "title": "x", "description": "y", "x-own": 1 }), any(0)),
            (json!({ "type": "string", "title": "x" }), json!({ "type": "string" })),
            (
                json!({ "type": "object" }),
                json!({ "type": "object", "additionalProperties": any(1) }),
            ),
            (json!({ "type": "array" }), json!({ "type": "array", "items": any(1) })),
            (
                json!({ "properties": { "a": { "type": "null" } } }),
                json!({ "type": "object", "properties": { "a": { "type": "null" } }, "additionalProperties": false }),
            ),
            (
                json!({ "properties": { "a": { "type": "null" } }, "required": ["b"], "additionalProperties": false }),
                json!({
                    "type": "object", "properties": { "a": { "type": "null" } }, "required": ["b"],
                    "additionalProperties": false
                }),
            ),
            (
                json!({ "minimum": 3 }),
                json!({ "type": "number", "minimum": 3, "maximum": 1e15 }),
            ),
            (
                json!({ "type": "integer" }),
                json!({ "type": "integer", "minimum": -9007199254740991i64, "maximum": 9007199254740991i64 }),
            ),
            (
                json!({ "type": "integer", "minimum": 1, "maximum": 2 }),
                json!({ "type": "integer", "minimum": 1, "maximum": 2 }),
            ),
            (
                json!({ "type": "number", "minimum": 0, "exclusiveMinimum": true, "maximum": 1 }),
                json!({ "type": "number", "exclusiveMinimum": 0, "maximum": 1 }),
            ),
            (
                json!({ "items": [{ "type": "null" }], "additionalItems": false }),
                json!({ "type": "array", "prefixItems": [{ "type": "null" }], "items": false }),
            ),
            (
                json!({ "type": "string", "format": "color" }),
                json!({ "type": "string" }),
            ),
            (
                json!({ "type": "string", "enum": ["a"] }),
                json!({ "type": "string", "enum": ["a"] }),
            ),
        ];
        for (schema, expected) in rows {
            assert_eq!(normal(&schema), expected, "{schema}");
        }
    }

    #[test]
    fn objects_that_are_combined_stay_open() {
        let part = json!({ "type": "object", "properties": { "a": { "type": "null" } } });
        let normal = normal(&json!({ "allOf": [part, { "type": "object", "required": ["b"] }] }));
        assert_eq!(
            normal["allOf"][0]["additionalProperties"],
            json!({ "$ref": "#/$defs/any1" })
        );
    }

    #[test]
    fn references_are_followed_once_each_and_also_in_circles() {
        let schema = json!({
            "type": "object", "properties": { "a": { "$ref": "#/definitions/x" }, "b": { "$ref": "#/definitions/x" }, "c": { "$ref": "#" } },
            "definitions": { "x": { "type": "array", "items": { "$ref": "#/definitions/x" } } }
        });
        let normal = normalise(&schema).expect("it can be held to");
        assert_eq!(normal["properties"]["a"], normal["properties"]["b"]);
        assert_eq!(normal["$defs"]["d0"]["items"]["$ref"], "#/$defs/d0");
        assert_eq!(normal["$defs"]["d1"]["properties"]["c"]["$ref"], "#/$defs/d1");
    }

    #[test]
    fn errors_say_where_and_what_to_do() {
        let mut deep = json!({});
        for _ in 0..40 {
            deep = json!({ "items": deep });
        }
        let rows = [
            (json!(3), "a schema is an object or a boolean at #"),
            (
                json!({ "properties": { "a/b": { "not": {} } } }),
                "not can't be guaranteed; leave it out at #/properties/a~1b",
            ),
            (
                json!({ "if": {}, "then": {} }),
                "if can't be guaranteed; leave it out at #",
            ),
            (json!({ "$ref": "#/nowhere" }), "#/nowhere points at nothing at #/$ref"),
            (
                json!({ "$ref": "other.json" }),
                "other.json is outside of the schema; only #/… can be followed at #/$ref",
            ),
            (
                json!({ "enum": [] }),
                "enum is an array of at least one value at #/enum",
            ),
            (json!({ "anyOf": {} }), "this is an array of schemas at #/anyOf"),
            (
                json!({ "oneOf": [{ "type": "string" }, {}] }),
                "options 0 and 1 can both hold; use anyOf at #/oneOf",
            ),
            (deep, "subschemas nest over 32 levels deep"),
            (json!({ "enum": ["x".repeat(300_000)] }), "it may have 262144 at #"),
        ];
        for (schema, expected) in rows {
            let error = normalise(&schema).expect_err("it can't be held to").to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
