//! A plugin's log lines, passed on as the host's own events.

use sensorium_contract::process::LogLine;
use serde_json::{Map, Value};
use tracing::Level;

/// Passes one line on, with the model and plugin that it came from.
pub(super) fn forward(model: &str, plugin: &str, line: LogLine) {
    let LogLine { level, message, fields } = line;
    let fields = new_fields(model, plugin, fields);
    // The level of an event is fixed at compile time, hence one call for each.
    macro_rules! pass_on {
        ($level:ident) => {
            tracing::$level!(target: "sensorium::plugin", model, plugin, fields, "{message}")
        };
    }
    match level {
        Level::ERROR => pass_on!(error),
        Level::WARN => pass_on!(warn),
        Level::INFO => pass_on!(info),
        Level::DEBUG => pass_on!(debug),
        Level::TRACE => pass_on!(trace),
    }
}

/// The fields that say what the event itself does not: it has a time, and names the model and the plugin.
fn new_fields(model: &str, plugin: &str, mut fields: Map<String, Value>) -> Option<String> {
    fields.retain(|name, value| match name.as_str() {
        "timestamp" => false,
        "model" => value != model,
        "plugin" => value != plugin,
        _ => true,
    });
    (!fields.is_empty()).then(|| Value::Object(fields).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_event_says_already_is_not_repeated() {
        for (fields, expected) in [
            (r#"{}"#, None),
            (r#"{"timestamp":"2026-01-01","model":"m","plugin":"p"}"#, None),
            (
                r#"{"timestamp":1,"model":"other","n":3}"#,
                Some(r#"{"model":"other","n":3}"#),
            ),
        ] {
            let parsed = serde_json::from_str(fields).unwrap();
            assert_eq!(new_fields("m", "p", parsed).as_deref(), expected, "{fields}");
        }
    }
}
