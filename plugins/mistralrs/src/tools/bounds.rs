//! What a schema says of types and numbers, and what it should have said.

use serde_json::{Map, Value, json};

/// Integers are kept within what every JSON reader takes exactly (RFC 8259, section 6).
const INTEGER_LIMIT: i64 = (1 << 53) - 1;

/// Other numbers likewise; with limits they have no exponents, so that none overflows.
const NUMBER_LIMIT: f64 = 1e15;

/// A schema that speaks only of objects means an object; so for arrays, strings and numbers.
pub(super) fn infer_type(result: &mut Map<String, Value>) {
    let of = |keys: &[&str]| keys.iter().any(|&key| result.contains_key(key));
    if of(&["type", "enum", "const", "$ref", "anyOf", "allOf"]) {
        return;
    }
    let kind = if of(&[
        "properties",
        "patternProperties",
        "additionalProperties",
        "required",
        "minProperties",
        "maxProperties",
    ]) {
        "object"
    } else if of(&["items", "prefixItems", "minItems", "maxItems"]) {
        "array"
    } else if of(&["minLength", "maxLength", "pattern"]) {
        "string"
    } else if of(&[
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
    ]) {
        "number"
    } else {
        return;
    };
    result.insert("type".to_owned(), json!(kind));
}

/// True if the schema's own type includes `kind`.
pub(super) fn admits(result: &Map<String, Value>, kind: &str) -> bool {
    match result.get("type") {
        Some(Value::String(name)) => name == kind,
        Some(Value::Array(names)) => names.iter().any(|name| name == kind),
        _ => false,
    }
}

/// Numbers without limits get some.
pub(super) fn bound_numbers(result: &mut Map<String, Value>) {
    let (low, high) = if admits(result, "number") {
        (json!(-NUMBER_LIMIT), json!(NUMBER_LIMIT))
    } else if admits(result, "integer") {
        (json!(-INTEGER_LIMIT), json!(INTEGER_LIMIT))
    } else {
        return;
    };
    let limit = |keys: [&str; 2]| keys.iter().find_map(|&key| result.get(key)?.as_f64());
    let (least, most) = (
        limit(["minimum", "exclusiveMinimum"]),
        limit(["maximum", "exclusiveMaximum"]),
    );
    if least.is_none() && most.is_none_or(|most| low.as_f64().is_some_and(|low| low < most)) {
        result.insert("minimum".to_owned(), low);
    }
    if most.is_none() && least.is_none_or(|least| high.as_f64().is_some_and(|high| high > least)) {
        result.insert("maximum".to_owned(), high);
    }
}
