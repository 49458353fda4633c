//! Where a JSON object or array that comes in pieces ends.

/// Follows brackets and strings. It doesn't check the rest: that is for the parser, once all is there.
#[derive(Debug, Clone, Default)]
pub(crate) struct JsonEnd {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

// === impl JsonEnd ===

impl JsonEnd {
    /// The position after the closing bracket, if it is in `text`, which begins where the last one ended.
    pub(crate) fn feed(&mut self, text: &str) -> Option<usize> {
        text.bytes().position(|byte| self.closes(byte)).map(|at| at + 1)
    }

    fn closes(&mut self, byte: u8) -> bool {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_strings_do_not_count() {
        let rows = [
            ("{}x", Some(2)),
            ("{\"a\": [1, {}]} ", Some(14)),
            (r#"{"}": "\"}"}"#, Some(12)),
            (r#"{"a": "\\"}"#, Some(11)),
            ("{\"é\": \"}\"", None),
            ("[[]", None),
        ];
        for (text, expected) in rows {
            assert_eq!(JsonEnd::default().feed(text), expected, "{text}");
            let mut bytewise = JsonEnd::default();
            let end = text
                .char_indices()
                .find_map(|(at, c)| bytewise.feed(&text[at..at + c.len_utf8()]).map(|n| at + n));
            assert_eq!(end, expected, "{text}");
        }
    }
}
