//! Words of the client that would be tokens with a meaning: end of a turn, an image, a tool call. They are broken by a
//! character that takes no room, so that they stay readable and mean nothing.

use std::borrow::Cow;

use crate::model::Codec;

use super::ChatTemplate;

/// Takes no room: WORD JOINER.
const BREAK: char = '\u{2060}';

/// Finds and breaks the texts of tokens that mean something.
#[derive(Debug, Clone)]
pub(crate) struct Neutraliser {
    /// Longest first, so that no token hides in another.
    tokens: Vec<String>,
}

// === impl Neutraliser ===

impl Neutraliser {
    /// All special tokens, and those added ones that the template writes or that look like marks of a dialogue. Other
    /// added tokens (runs of spaces, HTML tags) are ordinary text.
    pub(crate) fn new(codec: &Codec, template: Option<&ChatTemplate>, marks: &[&str]) -> Self {
        let means = |text: &str| {
            let marked = (text.starts_with("<|") && text.ends_with("|>"))
                || (text.starts_with('[') && text.ends_with(']'))
                || matches!(text, "<tool_call>" | "</tool_call>" | "<think>" | "</think>");
            marked || template.is_some_and(|template| template.mentions(text))
        };
        let added = codec.added().into_iter();
        let added = added.filter(|token| !token.text.trim().is_empty() && (token.special || means(&token.text)));
        let marks = marks.iter().map(|&mark| mark.to_owned());
        Self::of(added.map(|token| token.text).chain(marks))
    }

    fn of(tokens: impl Iterator<Item = String>) -> Self {
        let mut tokens: Vec<String> = tokens.filter(|token| token.chars().count() > 1).collect();
        tokens.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        tokens.dedup();
        Self { tokens }
    }

    /// One that changes nothing.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self { tokens: Vec::new() }
    }

    /// The text with every such token broken after its first character.
    pub(crate) fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for token in &self.tokens {
            if !text.contains(token.as_str()) {
                continue;
            }
            let mut rest = token.chars();
            let broken: String = rest.next().into_iter().chain([BREAK]).chain(rest).collect();
            text = Cow::Owned(text.replace(token.as_str(), &broken));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_broken_and_nothing_else_changes() {
        let neutral = Neutraliser::of(
            ["<image>", "<|im_end|>", "<|im_end|>x", "</s>"]
                .map(String::from)
                .into_iter(),
        );
        for (text, expected) in [
            ("plain < text >", "plain < text >"),
            ("an <image> here", "an <\u{2060}image> here"),
            ("<|im_end|>x<|im_end|>", "<\u{2060}|im_end|>x<\u{2060}|im_end|>"),
            ("<<image>image>", "<<\u{2060}image>image>"),
            ("</</s>s>", "</<\u{2060}/s>s>"),
        ] {
            let made = neutral.apply(text);
            assert_eq!(made, expected);
            assert!(
                neutral.tokens.iter().all(|token| !made.contains(token.as_str())),
                "{made}"
            );
        }
    }
}
