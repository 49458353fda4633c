//! The JSON Schema of the registry says the same as the code.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::raw::{RawModel, keys};
use super::super::registry_schema;

/// The default registry, at the root of the repository.
const DEFAULT: &str = include_str!("../../../../../models.toml");

fn definition<'a>(schema: &'a Value, name: &str) -> &'a Value {
    &schema["$defs"][name]
}

/// What a schema of ours forbids in `value`: enough of JSON Schema for the keywords that it uses.
fn complaints(root: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = reference
            .strip_prefix('#')
            .and_then(|pointer| root.pointer(pointer))
            .expect("it is defined");
        complaints(root, target, value, at, found);
    }
    for keyword in ["anyOf", "oneOf"] {
        let Some(choices) = schema[keyword].as_array() else {
            continue;
        };
        let fits = |choice: &Value| {
            let mut inner = vec![];
            complaints(root, choice, value, at, &mut inner);
            inner.is_empty()
        };
        if !choices.iter().any(fits) {
            found.push(format!("{at}: fits no choice"));
        }
    }
    let fits = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64(),
        None => true,
        Some(other) => panic!("{at}: the checker doesn't know the type {other:?}"),
    };
    if !fits || schema.get("const").is_some_and(|only| only != value) {
        found.push(format!("{at}: {value} does not fit"));
    }
    if let Some(listed) = schema["enum"].as_array().filter(|listed| !listed.contains(value)) {
        found.push(format!("{at}: {value} is not among {listed:?}"));
    }
    for (key, value) in value.as_object().into_iter().flatten() {
        match schema["properties"].get(key) {
            Some(schema) => complaints(root, schema, value, &format!("{at}/{key}"), found),
            None if schema["additionalProperties"] == json!(false) => found.push(format!("{at}/{key}: unknown")),
            None => {}
        }
    }
    for key in schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        if value.get(key).is_none() {
            found.push(format!("{at}/{key}: missing"));
        }
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        complaints(root, &schema["items"], item, &format!("{at}/{index}"), found);
    }
}

fn check(text: &str) -> Vec<String> {
    let value: Value = toml::from_str(text).expect("it is TOML");
    let (schema, mut found) = (registry_schema(), vec![]);
    complaints(&schema, &schema, &value, "", &mut found);
    found
}

#[test]
fn the_default_registry_fits() {
    assert_eq!(check(DEFAULT), [""; 0]);
}

#[test]
fn its_commented_models_fit_too() {
    let lines = DEFAULT.lines().map(|line| match line.strip_prefix("#: ") {
        Some(code) => code,
        None => line,
    });
    let text: Vec<&str> = lines.collect();
    assert!(
        text.len() > 10 && DEFAULT.contains("#: [[model]]"),
        "the examples are marked with \"#: \""
    );
    assert_eq!(check(&text.join("\n")), [""; 0]);
}

#[test]
fn mistakes_do_not_fit() {
    let rows = [
        (
            "[[model]]\nid = \"a\"\nplugin = \"p\"\ncolour = 1\n",
            "/model/0/colour: unknown",
        ),
        ("[[model]]\nid = \"a\"\n", "/model/0/plugin: missing"),
        ("[[model]]\nid = 3\nplugin = \"p\"\n", "/model/0/id: 3 does not fit"),
        (
            "[[model]]\nid = \"a\"\nplugin = \"p\"\ndevice = 3\n",
            "/model/0/device: fits no choice",
        ),
        (
            "[[model]]\nid = \"a\"\nplugin = \"p\"\nbatch = { min = 1 }\n",
            "/model/0/batch/min: unknown",
        ),
        ("models = []\n", "/models: unknown"),
    ];
    for (text, expected) in rows {
        assert!(
            check(text).iter().any(|found| found == expected),
            "{text}\n{:?}",
            check(text)
        );
    }
}

#[test]
fn every_key_is_described_and_null_is_no_value() {
    let schema = registry_schema();
    for name in ["Model", "Source", "Batch"] {
        for (key, property) in definition(&schema, name)["properties"].as_object().expect("an object") {
            assert!(property["description"].is_string(), "{name}.{key} has no description");
        }
        assert_eq!(
            definition(&schema, name)["additionalProperties"],
            json!(false),
            "{name}"
        );
    }
    assert_eq!(definition(&schema, "Model")["required"], json!(["id", "plugin"]));
    assert!(
        !schema.to_string().contains("null") && !schema.to_string().contains("Raw"),
        "{schema:#}"
    );
    assert!(
        schema["description"]
            .as_str()
            .is_some_and(|text| text.starts_with("Sensorium's registry"))
    );
}

#[test]
fn the_keys_are_those_of_the_design() {
    let expected = [
        "aliases",
        "batch",
        "device",
        "dtype",
        "id",
        "load",
        "options",
        "plugin",
        "queue",
        "source",
        "threads",
        "timeout",
        "token_input",
        "truncate",
        "ttl",
    ];
    assert_eq!(keys::<RawModel>(), expected);
    assert_eq!(keys::<RawModel>().iter().collect::<BTreeSet<_>>().len(), expected.len());
}
