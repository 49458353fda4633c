//! Whether two schemas can hold for one value.

use std::collections::BTreeSet;

use serde_json::Value;

use super::pointer::resolve;

/// References are followed this far.
const MAX_STEPS: usize = 16;

/// True if surely no value is valid under both: their types differ, or a property that both require has no value in
/// common. `tag` names a property that both are known to require.
pub(crate) fn disjoint(root: &Value, first: &Value, second: &Value, tag: Option<&str>) -> bool {
    let (Some(first), Some(second)) = (follow(root, first), follow(root, second)) else {
        return false;
    };
    if first == &Value::Bool(false) || second == &Value::Bool(false) {
        return true;
    }
    if let (Some(ours), Some(theirs)) = (types(first), types(second))
        && ours.is_disjoint(&theirs)
    {
        return true;
    }
    if let (Some(ours), Some(theirs)) = (values(first), values(second)) {
        return !ours.iter().any(|value| theirs.contains(value));
    }
    let both_objects = [first, second]
        .iter()
        .all(|schema| types(schema).is_some_and(|types| types == ["object"].into()));
    let (ours, theirs) = (required(first), required(second));
    let shared = ours.intersection(&theirs).copied().chain(tag);
    both_objects && shared.into_iter().any(|name| differ(root, first, second, name))
}

/// True if property `name` can't have a value that suits both.
fn differ(root: &Value, first: &Value, second: &Value, name: &str) -> bool {
    let property = |schema: &Value| {
        follow(root, schema.get("properties")?.get(name)?)
            .and_then(values)
            .map(<[_]>::to_vec)
    };
    match (property(first), property(second)) {
        (Some(ours), Some(theirs)) => !ours.iter().any(|value| theirs.contains(value)),
        _ => false,
    }
}

/// The schema behind references that stand alone.
fn follow<'a>(root: &'a Value, schema: &'a Value) -> Option<&'a Value> {
    let mut schema = schema;
    for _ in 0..MAX_STEPS {
        let Some(reference) = schema.get("$ref") else {
            return Some(schema);
        };
        schema = resolve(root, reference.as_str()?.strip_prefix('#')?).ok()?;
    }
    None
}

/// The types of the schema's values; an integer is a number.
fn types(schema: &Value) -> Option<BTreeSet<&str>> {
    let name = |value: &'_ Value| -> Option<&'static str> {
        Some(match value.as_str()? {
            "integer" | "number" => "number",
            "null" => "null",
            "boolean" => "boolean",
            "string" => "string",
            "array" => "array",
            "object" => "object",
            _ => return None,
        })
    };
    if let Some(values) = values(schema) {
        return Some(values.iter().map(type_of).collect());
    }
    match schema.get("type")? {
        Value::Array(names) => names.iter().map(name).collect(),
        single => Some([name(single)?].into()),
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The values that the schema lists.
fn values(schema: &Value) -> Option<&[Value]> {
    match schema.get("const") {
        Some(value) => Some(std::slice::from_ref(value)),
        None => schema.get("enum")?.as_array().map(Vec::as_slice),
    }
}

fn required(schema: &Value) -> BTreeSet<&str> {
    schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_surely_disjoint_is() {
        let tagged = |kind: &str| json!({ "type": "object", "properties": { "kind": { "const": kind } } });
        let pet = |kind: &str| {
            let mut pet = tagged(kind);
            pet["required"] = json!(["kind"]);
            pet
        };
        let root = json!({ "$defs": { "cat": pet("cat"), "dog": pet("dog"), "loop": { "$ref": "#/$defs/loop" } } });
        let to = |name: &str| json!({ "$ref": format!("#/$defs/{name}") });
        let rows = [
            (json!({ "type": "string" }), json!({ "type": "integer" }), true),
            (json!({ "type": "number" }), json!({ "type": "integer" }), false),
            (json!({ "type": ["string", "null"] }), json!({ "type": "null" }), false),
            (json!({ "enum": ["a", "b"] }), json!({ "const": "c" }), true),
            (json!({ "enum": ["a", "b"] }), json!({ "const": "b" }), false),
            (json!({ "const": 1 }), json!({ "type": "string" }), true),
            (to("cat"), to("dog"), true),
            (to("cat"), to("cat"), false),
            (to("cat"), json!({ "type": "null" }), true),
            (to("loop"), to("cat"), false),
            (json!({}), json!({ "type": "null" }), false),
            (json!(false), json!({}), true),
        ];
        for (first, second, expected) in rows {
            assert_eq!(disjoint(&root, &first, &second, None), expected, "{first} {second}");
            assert_eq!(disjoint(&root, &second, &first, None), expected, "{second} {first}");
        }
        assert!(!disjoint(&root, &tagged("cat"), &tagged("dog"), None));
        assert!(disjoint(&root, &tagged("cat"), &tagged("dog"), Some("kind")));
        assert!(!disjoint(&root, &tagged("cat"), &tagged("dog"), Some("name")));
    }
}
