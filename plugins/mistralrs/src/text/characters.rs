//! Bytes in, whole characters out.

use super::Piece;

/// Turns the bytes of tokens into text as they come. A character that is not whole yet waits; bytes that can't be part
/// of one become U+FFFD, as `String::from_utf8_lossy` has it. The text of a reply is thus what the tokenizer's own
/// decoder gives for all of its tokens.
#[derive(Debug)]
pub(crate) struct Characters {
    /// At most three bytes, the start of a character.
    waiting: Vec<u8>,
    /// Bytes of text that have come out.
    position: usize,
    /// So many spaces at the very start are the tokenizer's, not the model's.
    strip: usize,
}

// === impl Characters ===

impl Characters {
    /// For a tokenizer whose decoder takes `strip` spaces off the start of a text.
    pub(crate) fn new(strip: usize) -> Self {
        Self {
            waiting: Vec::new(),
            position: 0,
            strip,
        }
    }

    /// The bytes of text that have come out so far.
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// The text that `bytes` complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Option<Piece> {
        let mut bytes = bytes;
        while self.strip > 0 && self.waiting.is_empty() && !bytes.is_empty() {
            match bytes.strip_prefix(b" ") {
                Some(rest) => (bytes, self.strip) = (rest, self.strip - 1),
                None => self.strip = 0,
            }
        }
        self.waiting.extend_from_slice(bytes);
        let text = self.take_whole();
        self.piece(text)
    }

    /// The reply is over: what still waits will never be whole.
    pub(crate) fn finish(&mut self) -> Option<Piece> {
        let text = String::from_utf8_lossy(&std::mem::take(&mut self.waiting)).into_owned();
        self.piece(text)
    }

    fn piece(&mut self, text: String) -> Option<Piece> {
        let start = self.position;
        self.position += text.len();
        Piece::new(start, &text)
    }

    fn take_whole(&mut self) -> String {
        let mut text = String::new();
        let mut taken = 0;
        for chunk in self.waiting.utf8_chunks() {
            text.push_str(chunk.valid());
            taken += chunk.valid().len();
            let invalid = chunk.invalid();
            if invalid.is_empty() || (taken + invalid.len() == self.waiting.len() && may_become_whole(invalid)) {
                break;
            }
            text.push(char::REPLACEMENT_CHARACTER);
            taken += invalid.len();
        }
        self.waiting.drain(..taken);
        text
    }
}

/// True if more bytes can make a character of these.
fn may_become_whole(bytes: &[u8]) -> bool {
    matches!(std::str::from_utf8(bytes), Err(error) if error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(strip: usize, tokens: &[&[u8]], expected: &[&str]) {
        let mut characters = Characters::new(strip);
        let mut pieces: Vec<Option<Piece>> = tokens.iter().map(|bytes| characters.push(bytes)).collect();
        pieces.push(characters.finish());
        let mut position = 0;
        for piece in pieces.iter().flatten() {
            assert_eq!(piece.start, position);
            position = piece.end();
        }
        let texts: Vec<String> = pieces
            .into_iter()
            .map(|piece| piece.map_or(String::new(), |piece| piece.text))
            .collect();
        assert_eq!(texts, expected, "{tokens:?}");
    }

    #[test]
    fn only_whole_characters_come_out() {
        check(0, &[b"a", b" b", b""], &["a", " b", "", ""]);
        check(0, &["é".as_bytes()], &["é", ""]);
        check(0, &[b"x\xf0", b"\x9f\x98", b"\x80y"], &["x", "", "😀y", ""]);
        check(0, &[b"\xf0\x9f", b"z"], &["", "\u{fffd}z", ""]);
        check(0, &[b"\xff", b"a\xc3"], &["\u{fffd}", "a", "\u{fffd}"]);
        check(0, &[b"\xe2\x82", b"\xe2\x82\xac"], &["", "\u{fffd}€", ""]);
    }

    #[test]
    fn white_space_at_the_start_stays_but_for_what_the_tokenizer_adds() {
        check(0, &[b" ", b" a"], &[" ", " a", ""]);
        check(1, &[b" ", b" a", b" b"], &["", " a", " b", ""]);
        check(1, &[b"a", b" b"], &["a", " b", ""]);
        check(1, &[b"", b"  a"], &["", " a", ""]);
    }

    /// Whatever the borders between tokens, the text is the same.
    #[test]
    fn borders_make_no_difference() {
        let bytes = "a😀é\u{7ff}€"
            .as_bytes()
            .iter()
            .chain(b"\xf0\x9f\xff\x80b\xe2")
            .copied()
            .collect::<Vec<u8>>();
        for cut in 0..bytes.len() {
            for second in cut..bytes.len() {
                let mut characters = Characters::new(0);
                let mut text = String::new();
                for part in [&bytes[..cut], &bytes[cut..second], &bytes[second..]] {
                    text.extend(characters.push(part).map(|piece| piece.text));
                }
                text.extend(characters.finish().map(|piece| piece.text));
                assert_eq!(text, String::from_utf8_lossy(&bytes), "{cut} {second}");
            }
        }
    }
}
