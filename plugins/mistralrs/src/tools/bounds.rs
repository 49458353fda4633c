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

/// Numbers without limits, or with wider ones than can be read back, get these.
pub(super) fn bound_numbers(result: &mut Map<String, Value>) {
    let limit = if admits(result, "number") {
        json!(NUMBER_LIMIT)
    } else if admits(result, "integer") {
        json!(INTEGER_LIMIT)
    } else {
        return;
    };
    let Some(widest) = limit.as_f64() else { return };
    let lowest = if limit.is_i64() {
        json!(-INTEGER_LIMIT)
    } else {
        json!(-NUMBER_LIMIT)
    };
    let of = |result: &Map<String, Value>, key: &str| result.get(key).and_then(Value::as_f64);
    let narrow = |result: &mut Map<String, Value>, [inclusive, exclusive]: [&str; 2], sign: f64, limit: Value| {
        let inner = [inclusive, exclusive]
            .iter()
            .any(|&key| of(result, key).is_some_and(|value| value * sign < widest));
        if !inner {
            result.remove(exclusive);
            result.insert(inclusive.to_owned(), limit);
        }
    };
    // Values that are all out of reach stay as they are, for the grammar engine to refuse.
    let least = of(result, "minimum").or_else(|| of(result, "exclusiveMinimum"));
    let most = of(result, "maximum").or_else(|| of(result, "exclusiveMaximum"));
    if most.is_none_or(|most| most > -widest) {
        narrow(result, ["minimum", "exclusiveMinimum"], -1.0, lowest);
    }
    if least.is_none_or(|least| least < widest) {
        narrow(result, ["maximum", "exclusiveMaximum"], 1.0, limit);
    }
}

/// True if multiples of `step` can be told: as a whole number of its last decimal place, of which there are at most six,
/// it is at most 10,000.
pub(super) fn is_tellable_step(step: &Value) -> bool {
    let step = step.as_f64().unwrap_or(0.0);
    let scaled = (0..=6)
        .map(|places| step * 10f64.powi(places))
        .find(|scaled| (scaled - scaled.round()).abs() < 1e-9);
    step > 0.0 && scaled.is_some_and(|scaled| (1.0..=10_000.0).contains(&scaled.round()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_bounded_by_what_can_be_read_back() {
        let check = |schema: Value, expected: Value| {
            let mut map = schema.as_object().cloned().expect("an object");
            bound_numbers(&mut map);
            assert_eq!(Value::Object(map), expected, "{schema}");
        };
        let most = INTEGER_LIMIT;
        let of = |minimum: Value, maximum: Value| json!({ "type": "integer", "minimum": minimum, "maximum": maximum });
        check(json!({ "type": "integer" }), of(json!(-most), json!(most)));
        check(of(json!(i64::MIN), json!(i64::MAX)), of(json!(-most), json!(most)));
        check(of(json!(0), json!(u64::MAX)), of(json!(0), json!(most)));
        check(of(json!(1), json!(2)), of(json!(1), json!(2)));
        check(
            json!({ "type": ["number", "null"], "exclusiveMinimum": 0 }),
            json!({ "type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 1e15 }),
        );
        check(
            json!({ "type": "number", "exclusiveMinimum": -1e300, "minimum": -5 }),
            json!({ "type": "number", "exclusiveMinimum": -1e300, "minimum": -5, "maximum": 1e15 }),
        );
        check(
            json!({ "type": "number", "exclusiveMinimum": -1e300 }),
            json!({ "type": "number", "minimum": -1e15, "maximum": 1e15 }),
        );
        check(
            json!({ "type": "number", "minimum": 1e20 }),
            json!({ "type": "number", "minimum": 1e20 }),
        );
        check(json!({ "type": "string" }), json!({ "type": "string" }));
    }

    #[test]
    fn some_steps_are_too_fine_or_too_wide() {
        for (step, expected) in [
            (json!(1), true),
            (json!(0.01), true),
            (json!(0.000001), true),
            (json!(2.5), true),
            (json!(10_000), true),
            (json!(1_000_003), false),
            (json!(0.123457), false),
            (json!(1e-300), false),
            (json!(0), false),
            (json!(-1), false),
            (json!("1"), false),
        ] {
            assert_eq!(is_tellable_step(&step), expected, "{step}");
        }
    }
}
