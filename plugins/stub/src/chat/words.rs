//! The vocabulary: syllables, so that every id has a text, and no list of words is needed.

use sensorium_contract::{Candidate, TokenLogprob};

use crate::hash::hash;

/// Size of the vocabulary.
pub(crate) const VOCABULARY: u32 = 1 + CONSONANTS.len() as u32 * VOWELS.len() as u32 * CONSONANTS.len() as u32;

/// The token that ends a reply.
pub(crate) const END: u32 = 0;

const CONSONANTS: [char; 14] = ['b', 'd', 'f', 'g', 'k', 'l', 'm', 'n', 'p', 'r', 's', 't', 'v', 'z'];
const VOWELS: [char; 5] = ['a', 'e', 'i', 'o', 'u'];

/// Longest piece of a text that is one token, in characters.
const PIECE: usize = 12;

/// Bytes of a word that are one token.
const WORD_BYTES: usize = 16;

/// One token of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) id: u32,
    pub(crate) text: String,
}

// === impl Token ===

impl Token {
    /// A word of the vocabulary, with a space before it unless it is the first.
    pub(crate) fn word(id: u32, first: bool) -> Self {
        let space = if first { "" } else { " " };
        let text = format!("{space}{}", word(id));
        Self { id, text }
    }

    /// A piece of a text; what it is decides on its id.
    pub(crate) fn piece(text: String) -> Self {
        let id = draw(hash(0, text.as_bytes()));
        Self { id, text }
    }

    /// Its log probability, made up, with those of `top` others; they are a distribution.
    pub(crate) fn logprob(&self, top: u32) -> TokenLogprob {
        // At least a half for the one that was chosen, then half of the rest for each other.
        let chance = 0.5 + 0.49 * (hash(1, self.text.as_bytes()) % 1000) as f32 / 1000.0;
        let candidate = |id, text: &str, chance: f32| Candidate {
            id,
            token: text.as_bytes().to_vec(),
            logprob: chance.ln(),
        };
        let chosen = candidate(self.id, &self.text, chance);
        let others = (1..top).map(|rank| {
            let id = 1 + (self.id + rank) % (VOCABULARY - 1);
            candidate(
                id,
                &format!(" {}", word(id)),
                (1.0 - chance) * 0.5_f32.powi(rank as i32),
            )
        });
        let top = (top > 0).then(|| chosen.clone()).into_iter().chain(others).collect();
        TokenLogprob { chosen, top }
    }
}

/// A text as the tokens that say it.
pub(crate) fn pieces(text: &str) -> Vec<Token> {
    let mut pieces = vec![String::new()];
    for char in text.chars() {
        match pieces.last_mut() {
            Some(piece) if piece.chars().count() < PIECE => piece.push(char),
            _ => pieces.push(char.to_string()),
        }
        if char.is_whitespace() || char.is_ascii_punctuation() {
            pieces.push(String::new());
        }
    }
    pieces
        .into_iter()
        .filter(|piece| !piece.is_empty())
        .map(Token::piece)
        .collect()
}

/// How many tokens a text of a prompt has: its words, long ones more than once.
pub(crate) fn count(text: &str) -> usize {
    text.split_whitespace().map(|word| 1 + word.len() / WORD_BYTES).sum()
}

/// The id of a word, drawn with a random number; never the end.
pub(crate) fn draw(random: u64) -> u32 {
    1 + (random % u64::from(VOCABULARY - 1)) as u32
}

fn word(id: u32) -> String {
    if id == END {
        return String::new();
    }
    let (id, syllables) = ((id - 1) as usize, CONSONANTS.len() * VOWELS.len());
    let (first, last) = (id % syllables, id / syllables);
    let letters = [
        CONSONANTS[first / VOWELS.len()],
        VOWELS[first % VOWELS.len()],
        CONSONANTS[last % CONSONANTS.len()],
    ];
    letters.iter().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_id_has_a_word_of_its_own() {
        let words: HashSet<String> = (0..VOCABULARY).map(word).collect();
        assert_eq!(words.len(), VOCABULARY as usize);
    }

    #[test]
    fn pieces_are_the_text_again() {
        for text in ["", " ", "a red  circle\n", r#"{"a":[1,2],"b":"é👩‍👩‍👧‍👦"}"#, &"x".repeat(100)] {
            let pieces = pieces(text);
            assert_eq!(pieces.iter().map(|token| token.text.as_str()).collect::<String>(), text);
            assert!(pieces.iter().all(|token| token.id > 0 && token.id < VOCABULARY));
        }
        assert_eq!(pieces("one two").len(), 2);
    }

    #[test]
    fn log_probabilities_are_a_distribution() {
        for (text, top) in [("a", 0), ("a", 1), ("bap", 5), (" bap", 20)] {
            let logprob = Token::piece(text.into()).logprob(top);
            assert_eq!(logprob.top.len(), top as usize);
            let sum: f32 = logprob.top.iter().map(|one| one.logprob.exp()).sum();
            assert!(sum <= 1.0, "{sum}");
            assert!(logprob.top.windows(2).all(|pair| pair[0].logprob >= pair[1].logprob));
            assert_eq!(logprob.chosen.token, text.as_bytes());
        }
    }
}
