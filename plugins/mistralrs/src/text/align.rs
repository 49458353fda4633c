//! Which log probabilities go out with which text.

use std::{collections::VecDeque, ops::Range};

use sensorium_contract::TokenLogprob;

use super::Piece;

/// Keeps the log probabilities of tokens until their text is shown. A token goes out with the first of its text; one
/// whose text is never shown, because a stop string or a tool's call swallowed it, is left out.
#[derive(Debug, Default)]
pub(crate) struct Aligner {
    waiting: VecDeque<(Range<usize>, TokenLogprob)>,
}

// === impl Aligner ===

impl Aligner {
    /// A token that completed the text at `range`; empty if it made only a part of a character.
    pub(crate) fn push(&mut self, range: Range<usize>, logprob: TokenLogprob) {
        self.waiting.push_back((range, logprob));
    }

    /// Those of the tokens that `piece`, which is shown now, is made from. Pieces come in order.
    pub(crate) fn take(&mut self, piece: &Piece) -> Vec<TokenLogprob> {
        let mut taken = Vec::new();
        while let Some((range, _)) = self.waiting.front() {
            if range.start >= piece.end() {
                break;
            }
            let shown = range.end > piece.start || (range.is_empty() && range.start >= piece.start);
            if let Some((_, logprob)) = self.waiting.pop_front().filter(|_| shown) {
                taken.push(logprob);
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use sensorium_contract::Candidate;

    use super::*;

    /// Tokens and pieces as (start, end); the ids, which count from 0, that go out with each piece.
    fn check(tokens: &[(usize, usize)], shown: &[(usize, usize)], expected: &[&[u32]]) {
        let mut aligner = Aligner::default();
        for (id, &(start, end)) in tokens.iter().enumerate() {
            let chosen = Candidate {
                id: id as u32,
                token: Vec::new(),
                logprob: 0.0,
            };
            aligner.push(
                start..end,
                TokenLogprob {
                    chosen,
                    top: Vec::new(),
                },
            );
        }
        let taken: Vec<Vec<u32>> = shown
            .iter()
            .map(|&(start, end)| {
                aligner.take(&Piece {
                    start,
                    text: "x".repeat(end - start),
                })
            })
            .map(|logprobs| logprobs.iter().map(|logprob| logprob.chosen.id).collect())
            .collect();
        assert_eq!(taken, expected, "{tokens:?} {shown:?}");
    }

    #[test]
    fn each_token_goes_out_once_with_the_first_of_its_text() {
        check(&[(0, 1), (1, 3), (3, 4)], &[(0, 4)], &[&[0, 1, 2]]);
        check(&[(0, 4), (4, 6)], &[(0, 2), (2, 5), (5, 6)], &[&[0], &[1], &[]]);
        check(&[(0, 1), (1, 2), (2, 3)], &[(0, 1), (2, 3)], &[&[0], &[2]]);
    }

    #[test]
    fn parts_of_a_character_go_out_with_it() {
        check(
            &[(0, 1), (1, 1), (1, 1), (1, 5), (5, 6)],
            &[(0, 1), (1, 5), (5, 6)],
            &[&[0], &[1, 2, 3], &[4]],
        );
    }

    #[test]
    fn what_is_not_shown_is_left_out() {
        check(&[(0, 2), (2, 4), (4, 6)], &[(0, 1)], &[&[0]]);
        check(&[(0, 2), (2, 2), (2, 4), (4, 6)], &[(4, 6)], &[&[3]]);
    }
}
