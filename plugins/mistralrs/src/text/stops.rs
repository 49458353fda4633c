//! Stop strings: a reply ends before the first of them, and no part of one is ever shown.

use super::{Piece, overlap};

/// Holds back text that may be the start of a stop string.
#[derive(Debug)]
pub(crate) struct Stops {
    stops: Vec<String>,
    /// What is held back, and where it starts.
    waiting: String,
    start: usize,
    stopped: bool,
}

// === impl Stops ===

impl Stops {
    /// For these strings, none of them empty.
    pub(crate) fn new(stops: Vec<String>) -> Self {
        Self {
            stops,
            waiting: String::new(),
            start: 0,
            stopped: false,
        }
    }

    /// True once a stop string has come. Nothing comes out after it.
    pub(crate) fn stopped(&self) -> bool {
        self.stopped
    }

    /// What may be shown now that `piece` has come. Pieces may leave gaps; no stop string reaches across one.
    pub(crate) fn push(&mut self, piece: Piece) -> Vec<Piece> {
        let mut shown = Vec::new();
        if self.stopped {
            return shown;
        }
        if self.start + self.waiting.len() != piece.start {
            shown.extend(self.release(self.waiting.len()));
            self.start = piece.start;
        }
        self.waiting.push_str(&piece.text);
        let first = self
            .stops
            .iter()
            .filter_map(|stop| self.waiting.find(stop.as_str()))
            .min();
        if let Some(at) = first {
            shown.extend(self.release(at));
            self.stopped = true;
        } else {
            let held = self
                .stops
                .iter()
                .map(|stop| overlap(&self.waiting, stop))
                .max()
                .unwrap_or(0);
            shown.extend(self.release(self.waiting.len() - held));
        }
        shown
    }

    /// The reply is over: what is held back has not become a stop string.
    pub(crate) fn finish(&mut self) -> Option<Piece> {
        if self.stopped {
            None
        } else {
            self.release(self.waiting.len())
        }
    }

    fn release(&mut self, length: usize) -> Option<Piece> {
        let piece = Piece::new(self.start, &self.waiting[..length]);
        self.waiting.drain(..length);
        self.start += length;
        piece
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is shown after each piece and at the end, and whether it stopped.
    fn check(stops: &[&str], texts: &[&str], expected: &[&str], stopped: bool) {
        let mut filter = Stops::new(stops.iter().map(|&stop| stop.to_owned()).collect());
        let mut start = 0;
        let mut shown = Vec::new();
        for text in texts {
            let pieces = Piece::new(start, text).map_or(Vec::new(), |piece| filter.push(piece));
            start += text.len();
            shown.push(pieces.into_iter().map(|piece| piece.text).collect::<String>());
        }
        shown.push(filter.finish().map_or(String::new(), |piece| piece.text));
        assert_eq!(shown, expected, "{stops:?} {texts:?}");
        assert_eq!(filter.stopped(), stopped);
    }

    #[test]
    fn no_part_of_a_stop_string_is_shown() {
        check(&[], &["a", "b"], &["a", "b", ""], false);
        check(&["stop"], &["a st", "op b", "c"], &["a ", "", "", ""], true);
        check(&["stop"], &["a st", "ep"], &["a ", "step", ""], false);
        check(&["stop"], &["a sto"], &["a ", "sto"], false);
        check(&["\n\n"], &["a\n", "b\n", "\nc"], &["a", "\nb", "", ""], true);
        check(&["aab"], &["aa", "ab"], &["", "a", ""], true);
        check(&["xyz", "yq"], &["axy", "q"], &["a", "x", ""], true);
        check(&["b", "ab"], &["xab"], &["x", ""], true);
        check(&["é"], &["aé"], &["a", ""], true);
        check(&["END"], &["END"], &["", ""], true);
    }

    #[test]
    fn a_gap_breaks_a_stop_string() {
        let mut filter = Stops::new(vec!["ab".to_owned()]);
        assert_eq!(
            filter.push(Piece {
                start: 0,
                text: "xa".to_owned()
            }),
            [Piece {
                start: 0,
                text: "x".to_owned()
            }]
        );
        let after = filter.push(Piece {
            start: 10,
            text: "bc".to_owned(),
        });
        assert_eq!(
            after,
            [
                Piece {
                    start: 1,
                    text: "a".to_owned()
                },
                Piece {
                    start: 10,
                    text: "bc".to_owned()
                }
            ]
        );
        assert!(!filter.stopped());
    }

    /// Wherever the text is cut into pieces, the same is shown.
    #[test]
    fn borders_make_no_difference() {
        let text = "one two three, éone END two";
        for (stop, expected) in [
            ("two", "one "),
            (" thr", "one two"),
            ("éo", "one two three, "),
            ("zzz", text),
        ] {
            for cut in (0..=text.len()).filter(|&at| text.is_char_boundary(at)) {
                let mut filter = Stops::new(vec![stop.to_owned()]);
                let pieces = [Piece::new(0, &text[..cut]), Piece::new(cut, &text[cut..])];
                let mut shown: String = pieces
                    .into_iter()
                    .flatten()
                    .flat_map(|piece| filter.push(piece))
                    .map(|piece| piece.text)
                    .collect();
                shown.extend(filter.finish().map(|piece| piece.text));
                assert_eq!(shown, expected, "{stop:?} {cut}");
            }
        }
    }
}
