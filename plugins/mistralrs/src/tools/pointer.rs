//! Places in a schema.

use serde_json::Value;

use super::SchemaError;

/// A JSON pointer (RFC 6901) in a fragment, `#/properties/a`.
#[derive(Debug, Clone)]
pub(crate) struct Pointer(String);

// === impl Pointer ===

impl Pointer {
    pub(crate) fn root() -> Self {
        Self("#".to_owned())
    }

    /// What a reference without its `#` points at.
    pub(crate) fn at(target: &str) -> Self {
        Self(format!("#{target}"))
    }

    /// One level down.
    pub(crate) fn join(&self, key: impl std::fmt::Display) -> Self {
        let key = key.to_string().replace('~', "~0").replace('/', "~1");
        Self(format!("{}/{key}", self.0))
    }

    /// Something is wrong here.
    pub(crate) fn error(&self, problem: impl Into<String>) -> SchemaError {
        let mut at = self.0.clone();
        at.truncate(at.floor_char_boundary(200));
        SchemaError {
            at,
            problem: problem.into(),
        }
    }
}

/// The value that `target`, a reference without its `#`, points at.
///
/// # Errors
/// In words, if there is none.
pub(crate) fn resolve<'a>(root: &'a Value, target: &str) -> Result<&'a Value, String> {
    let missing = || format!("#{target} points at nothing");
    root.pointer(&unescape(target).ok_or_else(missing)?).ok_or_else(missing)
}

/// `target` without its percent escapes (RFC 3986); `None` if one is broken.
fn unescape(target: &str) -> Option<String> {
    let mut parts = target.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_are_followed_with_their_escapes() {
        let root = json!({ "$defs": { "a/b": 1, "c~d": 2, "e f": 3 } });
        let rows = [
            ("", Some(&root)),
            ("/$defs/a~1b", Some(&root["$defs"]["a/b"])),
            ("/$defs/c~0d", Some(&root["$defs"]["c~d"])),
            ("/$defs/e%20f", Some(&root["$defs"]["e f"])),
            ("/$defs/g", None),
            ("/$defs/e%2", None),
            ("/$defs/%ff", None),
        ];
        for (target, expected) in rows {
            assert_eq!(resolve(&root, target).ok(), expected, "{target}");
        }
    }
}
