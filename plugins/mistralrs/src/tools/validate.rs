//! A small validator of JSON Schema, for tests: written from the specification, not from what the grammars do.

use serde_json::Value;

use super::pointer::resolve;

/// Checks `value` against `schema`.
///
/// # Errors
/// The first keyword that is broken.
pub(crate) fn validate(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let map = match schema {
        Value::Bool(true) => return Ok(()),
        Value::Object(map) => map,
        _ => return Err(format!("{value} is under false")),
    };
    for (key, limit) in map {
        if !holds(root, map, (key, limit), value) {
            return Err(format!("{key} {limit} doesn't hold for {value}"));
        }
    }
    Ok(())
}

fn valid(root: &Value, schema: &Value, value: &Value) -> bool {
    validate(root, schema, value).is_ok()
}

fn holds(root: &Value, map: &serde_json::Map<String, Value>, (key, limit): (&str, &Value), value: &Value) -> bool {
    let schemas = || limit.as_array().into_iter().flatten();
    let number = |check: fn(f64, f64) -> bool| match (value.as_f64(), limit.as_f64()) {
        (Some(value), Some(limit)) => check(value, limit),
        _ => true,
    };
    let count = |count: Option<usize>, check: fn(usize, usize) -> bool| {
        count.is_none_or(|count| check(count, limit.as_u64().expect("a number") as usize))
    };
    let characters = value.as_str().map(|text| text.chars().count());
    match key {
        "$ref" => {
            let target = limit
                .as_str()
                .and_then(|limit| limit.strip_prefix('#'))
                .expect("a local reference");
            valid(root, resolve(root, target).expect("it is there"), value)
        }
        "type" => match limit {
            Value::Array(names) => names.iter().any(|name| is_of(name, value)),
            name => is_of(name, value),
        },
        "enum" => schemas().any(|other| equal(other, value)),
        "const" => equal(limit, value),
        "anyOf" => schemas().any(|schema| valid(root, schema, value)),
        "allOf" => schemas().all(|schema| valid(root, schema, value)),
        "oneOf" => schemas().filter(|schema| valid(root, schema, value)).count() == 1,
        "minimum" => number(|value, limit| value >= limit),
        "maximum" => number(|value, limit| value <= limit),
        "exclusiveMinimum" => number(|value, limit| value > limit),
        "exclusiveMaximum" => number(|value, limit| value < limit),
        "multipleOf" => number(|value, limit| ((value / limit) - (value / limit).round()).abs() < 1e-9),
        "minLength" => count(characters, |count, limit| count >= limit),
        "maxLength" => count(characters, |count, limit| count <= limit),
        "minItems" => count(value.as_array().map(Vec::len), |count, limit| count >= limit),
        "maxItems" => count(value.as_array().map(Vec::len), |count, limit| count <= limit),
        "pattern" => value.as_str().is_none_or(|text| matches_pattern(limit, text)),
        "format" => value.as_str().is_none_or(|text| has_format(limit, text)),
        "required" => value
            .as_object()
            .is_none_or(|map| schemas().all(|name| map.contains_key(name.as_str().expect("a name")))),
        "properties" => value.as_object().is_none_or(|members| {
            members
                .iter()
                .all(|(name, member)| limit.get(name).is_none_or(|schema| valid(root, schema, member)))
        }),
        "additionalProperties" => value.as_object().is_none_or(|members| {
            let named = |name: &String| map.get("properties").is_some_and(|names| names.get(name).is_some());
            members
                .iter()
                .filter(|(name, _)| !named(name))
                .all(|(_, member)| valid(root, limit, member))
        }),
        "prefixItems" => value.as_array().is_none_or(|items| {
            items
                .iter()
                .zip(schemas())
                .all(|(item, schema)| valid(root, schema, item))
        }),
        "items" => value.as_array().is_none_or(|items| {
            let before = map.get("prefixItems").and_then(Value::as_array).map_or(0, Vec::len);
            items.iter().skip(before).all(|item| valid(root, limit, item))
        }),
        "$defs" | "title" | "description" | "discriminator" | "default" => true,
        _ => panic!("the validator doesn't know {key}"),
    }
}

fn is_of(name: &Value, value: &Value) -> bool {
    match name.as_str().expect("a type is a string") {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.as_f64().is_some_and(|value| value.fract() == 0.0),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("there is no type {other}"),
    }
}

fn equal(one: &Value, other: &Value) -> bool {
    one == other || (one.as_f64().is_some() && one.as_f64() == other.as_f64())
}

/// The patterns that tests use, in plain code.
fn matches_pattern(pattern: &Value, text: &str) -> bool {
    let bytes = text.as_bytes();
    match pattern.as_str().expect("a pattern is a string") {
        "^[a-c]{2,4}$" => (2..=4).contains(&bytes.len()) && bytes.iter().all(|byte| (b'a'..=b'c').contains(byte)),
        "^x-" => text.starts_with("x-"),
        "[0-9]$" => bytes.last().is_some_and(u8::is_ascii_digit),
        "^(red|blue)\\d?$" => {
            let rest = text.strip_prefix("red").or_else(|| text.strip_prefix("blue"));
            rest.is_some_and(|rest| rest.len() <= 1 && rest.bytes().all(|byte| byte.is_ascii_digit()))
        }
        other => panic!("the validator doesn't know {other}"),
    }
}

fn has_format(format: &Value, text: &str) -> bool {
    let digits = |text: &str, length: usize| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    match format.as_str().expect("a format is a string") {
        "date" => chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok(),
        "date-time" => chrono::DateTime::parse_from_rfc3339(text).is_ok(),
        "time" => chrono::DateTime::parse_from_rfc3339(&format!("2000-01-01T{text}")).is_ok(),
        "ipv4" => text.parse::<std::net::Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<std::net::Ipv6Addr>().is_ok(),
        "uuid" => text.len() == 36 && text.split('-').map(str::len).eq([8, 4, 4, 4, 12]),
        "email" => text
            .split_once('@')
            .is_some_and(|(user, host)| !user.is_empty() && host.contains('.')),
        "duration" => text.starts_with('P') && text.len() > 2 && !digits(text, text.len()),
        "uri" => text.starts_with("http") && text.contains("://"),
        _ => true,
    }
}
