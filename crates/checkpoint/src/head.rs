//! The head of a long text: enough to fill a model's context, so that a text costs no more than the model can read.

/// Bytes for each token of the context. Words of natural language take 4 to 8 for a token.
const BYTES_PER_TOKEN: usize = 64;

/// The ids of a text, or of its head if that is more than enough.
#[derive(Debug, PartialEq, Eq)]
pub struct HeadIds {
    /// In the order of the text.
    pub ids: Vec<u32>,
    /// False if there is more text than these.
    pub whole: bool,
}

/// Tokenizes the head of a text, and the whole only if the head has less than twice `room` tokens.
///
/// What follows can't change tokens before a space; where the head ends inside a long word, only the ones near its end,
/// and the second half of them is never used.
///
/// # Errors
/// What `encode` answers.
pub fn encode_head<E>(
    text: &str,
    room: usize,
    mut encode: impl FnMut(&str) -> Result<Vec<u32>, E>,
) -> Result<HeadIds, E> {
    if let Some(head) = head(text, room.saturating_mul(BYTES_PER_TOKEN)) {
        let ids = encode(head)?;
        if ids.len() / 2 >= room {
            return Ok(HeadIds { ids, whole: false });
        }
    }
    let ids = encode(text)?;
    Ok(HeadIds { ids, whole: true })
}

/// At most `limit` bytes of a longer text, up to a space if there is one in their second half.
fn head(text: &str, limit: usize) -> Option<&str> {
    if text.len() <= limit {
        return None;
    }
    let end = (0..=limit).rev().find(|at| text.is_char_boundary(*at))?;
    let at_space = text[..end].rfind(' ').filter(|at| *at >= end / 2);
    Some(text[..at_space.unwrap_or(end)].trim_end())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn heads_end_at_spaces_or_at_least_between_characters() {
        assert_eq!(head("one two", 7), None);
        assert_eq!(head("one two three", 9), Some("one two"));
        assert_eq!(head("one two   three", 9), Some("one two"));
        assert_eq!(head("a bcdefghijkl", 9), Some("a bcdefgh"));
        assert_eq!(head("ééééé", 5), Some("éé"));
        assert_eq!(head("      x", 5), Some(""));
    }

    #[test]
    fn many_huge_words_cost_what_the_model_reads() {
        let (word, texts, room) = ("x".repeat(1 << 20), 256, 75);
        let mut bytes = 0;
        for _ in 0..texts {
            let made = encode_head::<Infallible>(&word, room, |text| {
                bytes += text.len();
                Ok(vec![0; text.len() / 3])
            });
            assert!(made.is_ok_and(|made| !made.whole && made.ids.len() > 2 * room));
        }
        assert!(bytes <= texts * room * BYTES_PER_TOKEN, "{bytes} bytes tokenized");
    }

    #[test]
    fn a_head_of_few_tokens_is_not_taken_for_the_text() {
        let blank = " ".repeat(5000) + "x y";
        let made = encode_head::<Infallible>(&blank, 2, |text| Ok(text.split_whitespace().map(|_| 1).collect()));
        let whole = HeadIds {
            ids: vec![1, 1],
            whole: true,
        };
        assert_eq!(made, Ok(whole));
    }
}
