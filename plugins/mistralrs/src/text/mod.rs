//! From token ids to text that may be shown: bytes of tokens, whole characters, stop strings, and which log
//! probabilities belong to what is shown.

mod align;
mod characters;
#[cfg(test)]
pub(crate) mod fake;
mod stops;
mod vocabulary;

pub(crate) use align::Aligner;
pub(crate) use characters::Characters;
pub(crate) use stops::Stops;
pub(crate) use vocabulary::{Vocabulary, VocabularyError};

/// A run of the reply's text. Positions count the bytes of everything that the reply's tokens spell, shown or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Where it starts.
    pub(crate) start: usize,
    pub(crate) text: String,
}

// === impl Piece ===

impl Piece {
    /// A piece, unless it is empty.
    pub(crate) fn new(start: usize, text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self {
            start,
            text: text.to_owned(),
        })
    }

    /// Where it ends.
    pub(crate) fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

/// The length of the longest end of `text`, shorter than `marker`, that `marker` begins with.
pub(crate) fn overlap(text: &str, marker: &str) -> usize {
    let (text, marker) = (text.as_bytes(), marker.as_bytes());
    let longest = text.len().min(marker.len().saturating_sub(1));
    (1..=longest)
        .rev()
        .find(|&length| text[text.len() - length..] == marker[..length])
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::overlap;

    #[test]
    fn an_overlap_is_what_may_become_a_marker() {
        let rows = [
            ("", "ab", 0),
            ("xa", "ab", 1),
            ("xab", "ab", 0),
            ("aa", "aab", 2),
            ("xaaa", "aab", 2),
            ("ab", "", 0),
            ("é", "éa", 2),
        ];
        for (text, marker, expected) in rows {
            assert_eq!(overlap(text, marker), expected, "{text:?} {marker:?}");
        }
    }
}
