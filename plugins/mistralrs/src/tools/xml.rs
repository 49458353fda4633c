//! Calls in tags: `<function=name>` with a `<parameter=key>` for each argument, strings without quotes.

use serde_json::{Map, Value};

use super::{Callable, Called};

/// The call that `text`, between the markers, is.
pub(crate) fn read(text: &str, tools: &[Callable]) -> Option<Called> {
    let (_, text) = text.split_once("<function=")?;
    let (name, mut text) = text.split_once('>')?;
    let tool = tools.iter().find(|tool| tool.name == name.trim())?;
    let mut arguments = Map::new();
    while let Some((_, rest)) = text.split_once("<parameter=") {
        let (key, rest) = rest.split_once('>')?;
        let (value, rest) = rest.split_once("</parameter>")?;
        let value = value.strip_prefix('\n').unwrap_or(value);
        let value = value.strip_suffix('\n').unwrap_or(value);
        arguments.insert(key.trim().to_owned(), argument(tool, key.trim(), value));
        text = rest;
    }
    Some(Called {
        name: tool.name.clone(),
        arguments,
    })
}

/// True if a parameter with this schema is written as it is, without quotes.
pub(crate) fn is_bare(schema: Option<&Value>) -> bool {
    schema.is_some_and(|schema| schema["type"] == "string")
}

fn argument(tool: &Callable, key: &str, value: &str) -> Value {
    let schema = tool
        .parameters
        .as_ref()
        .and_then(|schema| schema.get("properties")?.get(key));
    let json = if is_bare(schema) {
        None
    } else {
        serde_json::from_str(value).ok()
    };
    json.unwrap_or_else(|| Value::String(value.to_owned()))
}
