//! A plugin's log lines, passed on as the host's own events.

use sensorium_contract::process::LogLine;
use tracing::Level;

/// Passes one line on, with the model and plugin that it came from.
pub(super) fn forward(model: &str, plugin: &str, line: LogLine) {
    let LogLine { level, message, fields } = line;
    let fields = if fields.is_empty() {
        None
    } else {
        Some(serde_json::Value::Object(fields).to_string())
    };
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
