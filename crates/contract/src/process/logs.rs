//! What a plugin writes to stderr, line by line.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::io::AsyncRead;
use tracing::Level;

use super::lines::BoundedLines;
use super::{ExitCause, StartError};

/// Longest line that is kept, in bytes.
pub(super) const MAX_LINE: usize = 64 << 10;

/// Longest excerpt of a line in an error message, in characters.
const MAX_EXCERPT: usize = 500;

/// Receives the lines of one process.
pub(super) type Sink = dyn Fn(LogLine) + Send + Sync;

/// One line of a plugin's log.
#[derive(Debug, Clone, PartialEq)]
pub struct LogLine {
    /// From the key `level`; `WARN` for a line that is not JSON.
    pub level: Level,
    /// From the key `message`; the line itself if it is not JSON.
    pub message: String,
    /// All other keys.
    pub fields: Map<String, Value>,
}

/// The last line that a process wrote, for the message that says why it did not start.
#[derive(Debug, Clone, Default)]
pub(super) struct LastLine(Arc<Mutex<String>>);

// === impl LogLine ===

impl LogLine {
    /// Understands one line; never fails.
    pub fn parse(line: &[u8]) -> Self {
        let plain = || Self {
            level: Level::WARN,
            message: String::from_utf8_lossy(line).into_owned(),
            fields: Map::new(),
        };
        let Ok(mut fields) = serde_json::from_slice::<Map<String, Value>>(line) else {
            return plain();
        };
        let (Some(Value::String(message)), Some(level)) = (fields.remove("message"), fields.remove("level")) else {
            return plain();
        };
        let level = level
            .as_str()
            .and_then(|level| level.parse().ok())
            .unwrap_or(Level::WARN);
        Self { level, message, fields }
    }
}

// === impl LastLine ===

impl LastLine {
    fn set(&self, line: &LogLine) {
        let excerpt = line.message.chars().take(MAX_EXCERPT).collect();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = excerpt;
    }

    /// The line, or `(none)`.
    pub(super) fn get(&self) -> String {
        let line = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if line.is_empty() { "(none)".into() } else { line.clone() }
    }

    /// The error for a process that has just ended; its last words may still be on their way.
    pub(super) async fn died(&self, cause: ExitCause) -> StartError {
        tokio::time::sleep(Duration::from_millis(50)).await;
        StartError::Exited {
            cause,
            stderr: self.get(),
        }
    }
}

/// Passes lines on until the pipe closes.
pub(super) async fn pump(mut lines: BoundedLines<impl AsyncRead + Unpin>, sink: Arc<Sink>, last: LastLine) {
    while let Ok(Some(line)) = lines.next().await {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let line = LogLine::parse(&line);
        last.set(&line);
        sink(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_plain_lines_are_understood() {
        let check = |line: &str, level: Level, message: &str, fields: &str| {
            let expected = LogLine {
                level,
                message: message.into(),
                fields: serde_json::from_str(fields).unwrap(),
            };
            assert_eq!(LogLine::parse(line.as_bytes()), expected, "{line}");
        };
        check(
            r#"{"level":"info","message":"up","n":3}"#,
            Level::INFO,
            "up",
            r#"{"n":3}"#,
        );
        check(
            r#"{"level":"ERROR","message":"x","target":"a::b"}"#,
            Level::ERROR,
            "x",
            r#"{"target":"a::b"}"#,
        );
        check(r#"{"level":"loud","message":"x"}"#, Level::WARN, "x", "{}");
        check("Segmentation fault", Level::WARN, "Segmentation fault", "{}");
        check(
            r#"{"message":"no level"}"#,
            Level::WARN,
            r#"{"message":"no level"}"#,
            "{}",
        );
        check("[1, 2]", Level::WARN, "[1, 2]", "{}");
    }
}
