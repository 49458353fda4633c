//! What a JSON text will take once it is parsed, told from its bytes alone.
//!
//! Two bytes of JSON can become a value of 32, and eight an object of 600. So the memory is
//! reserved before any of it is parsed.

use std::slice::Iter;

/// What parsing a JSON text will take, rounded up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Weight {
    /// Values, but for the last of each list and object.
    pub(crate) values: u64,
    /// Bytes of memory, the content of strings not counted: it is as long as the text at most.
    pub(crate) bytes: u64,
}

/// An entry of a list or object: 32 bytes for a value, twice while a list grows.
const ENTRY: u64 = 64;
/// A list, which begins with room for four.
const LIST: u64 = 192;
/// An object, which begins with room for eleven names and values.
const OBJECT: u64 = 768;
/// A string, besides its content; a name in an object is 24 bytes in itself.
const STRING: u64 = 48;

/// Weighs a text, valid JSON or not, in one pass.
pub(crate) fn weigh(json: &[u8]) -> Weight {
    let mut weight = Weight::default();
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        let (values, cost) = match byte {
            b',' => (1, ENTRY),
            b'[' => (1, LIST),
            b'{' => (1, OBJECT),
            b'"' => {
                skip_string(&mut bytes);
                (0, STRING)
            }
            _ => continue,
        };
        weight.values += values;
        weight.bytes += cost;
    }
    weight
}

/// To the end of a string whose opening quote has been read.
fn skip_string(bytes: &mut Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_outside_strings_weighs() {
        for (json, values, bytes) in [
            ("", 0, 0),
            ("[1,1,1]", 3, LIST + 2 * ENTRY),
            (r#"{"a,[{":"\",,\\","b":2}"#, 2, OBJECT + ENTRY + 3 * STRING),
            (r#""open,,,"#, 0, STRING),
            (r#""\"#, 0, STRING),
        ] {
            assert_eq!(weigh(json.as_bytes()), Weight { values, bytes }, "{json}");
        }
    }
}
