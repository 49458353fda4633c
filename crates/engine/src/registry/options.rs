//! A model's options against the schema in its plugin's manifest.
//!
//! Only the names of the top level are checked here; the plugin checks the rest when it loads.

use sensorium_contract::Manifest;
use serde_json::{Map, Value};

/// What is wrong with `options`: the option, and a message. An option that is missing has
/// the name of the whole table.
pub(super) fn check(options: &Map<String, Value>, manifest: &Manifest) -> Vec<(String, String)> {
    let plugin = &manifest.name;
    let Some(schema) = &manifest.options_schema else {
        let refuse = |key: &String| {
            (
                place(key),
                format!("unknown option {key:?}: plugin {plugin:?} takes no options"),
            )
        };
        return options.keys().map(refuse).collect();
    };
    let mut problems = vec![];
    let empty = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    if schema.get("additionalProperties") == Some(&Value::Bool(false)) {
        for key in options.keys().filter(|key| !properties.contains_key(*key)) {
            let known: Vec<&str> = properties.keys().map(String::as_str).collect();
            let known = known.join(", ");
            let message = format!("unknown option {key:?} of plugin {plugin:?} (expected one of {known})");
            problems.push((place(key), message));
        }
    }
    let required = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    for key in required.filter(|key| !options.contains_key(*key)) {
        problems.push((
            "options".into(),
            format!("option {key:?} is missing: plugin {plugin:?} needs it"),
        ));
    }
    problems
}

/// The name of an option among the places of a model.
fn place(key: &str) -> String {
    format!("options.{key}")
}
