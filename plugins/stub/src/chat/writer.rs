//! Tokens become deltas: what may be the beginning of a stop string is held back.

use sensorium_contract::{ChatDelta, TokenLogprob};

use super::words::Token;

/// Puts tokens into deltas.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    stop: &'a [String],
    top_logprobs: Option<u32>,
    /// What may be the beginning of a stop string.
    held: String,
    /// Of the tokens whose text is held, with where in `held` it ends.
    waiting: Vec<(usize, TokenLogprob)>,
}

// === impl Writer ===

impl<'a> Writer<'a> {
    pub(crate) fn new(stop: &'a [String], top_logprobs: Option<u32>) -> Self {
        Self {
            stop,
            top_logprobs,
            held: String::new(),
            waiting: Vec::new(),
        }
    }

    /// What a token adds to the text, and whether a stop string ends it there.
    pub(crate) fn push(&mut self, token: &Token) -> (ChatDelta, bool) {
        self.held.push_str(&token.text);
        if let Some(top) = self.top_logprobs {
            self.waiting.push((self.held.len(), token.logprob(top)));
        }
        let stop = self.stop.iter().filter_map(|stop| self.held.find(stop.as_str())).min();
        let end = stop.unwrap_or_else(|| self.safe());
        (self.release(end, 1), stop.is_some())
    }

    /// What was held back, once no more tokens come.
    pub(crate) fn rest(mut self) -> Option<ChatDelta> {
        let rest = self.release(self.held.len(), 0);
        (!rest.text.is_empty() || !rest.logprobs.is_empty()).then_some(rest)
    }

    /// Where the longest beginning of a stop string at the end of the text starts.
    fn safe(&self) -> usize {
        let starts = |at: &usize| self.stop.iter().any(|stop| stop.starts_with(&self.held[*at..]));
        let places = self.held.char_indices().map(|(at, _)| at);
        places.into_iter().find(starts).unwrap_or(self.held.len())
    }

    fn release(&mut self, end: usize, tokens: u32) -> ChatDelta {
        let text: String = self.held.drain(..end).collect();
        let done = self.waiting.iter().take_while(|(at, _)| *at <= end).count();
        let logprobs = self.waiting.drain(..done).map(|(_, logprob)| logprob).collect();
        self.waiting.iter_mut().for_each(|(at, _)| *at -= end);
        ChatDelta { text, tokens, logprobs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The deltas' texts, and whether it stopped.
    fn write(tokens: &[&str], stop: &[&str]) -> (Vec<String>, bool) {
        let stop: Vec<String> = stop.iter().map(ToString::to_string).collect();
        let mut writer = Writer::new(&stop, Some(1));
        let mut texts = Vec::new();
        let mut logprobs = 0;
        for token in tokens {
            let (delta, stopped) = writer.push(&Token::piece((*token).into()));
            logprobs += delta.logprobs.len();
            texts.push(delta.text);
            if stopped {
                return (texts, true);
            }
        }
        if let Some(rest) = writer.rest() {
            logprobs += rest.logprobs.len();
            texts.push(rest.text);
        }
        assert_eq!(logprobs, tokens.len());
        (texts, false)
    }

    #[test]
    fn a_stop_string_ends_the_text_before_it_wherever_its_tokens_are_cut() {
        for (tokens, stop, expected, stopped) in [
            (&["a", " b", " c"][..], &[][..], &["a", " b", " c"][..], false),
            (&["a", " b", " c"], &[" b"], &["a", ""], true),
            (&["ab", "cd", "ef"], &["bcde"], &["a", "", ""], true),
            (&["ab", "cd", "xf"], &["bcde"], &["a", "", "bcdxf"], false),
            (&["ab", "c"], &["bcde"], &["a", "", "bc"], false),
            (&["xyz"], &["z", "y"], &["x"], true),
            (&["aab"], &["ab"], &["a"], true),
            (&["é", "é!"], &["!"], &["é", "é"], true),
        ] {
            let expected = expected.iter().map(ToString::to_string).collect();
            assert_eq!(write(tokens, stop), (expected, stopped), "{tokens:?} until {stop:?}");
        }
    }
}
