//! A reply's text comes in, text to show and whole calls of tools come out.

use sensorium_contract::ToolCall;

use super::{
    Callable, ToolFormat,
    body::{Body, Context, Progress},
    format::PYTHON_TAG,
};
use crate::text::{Piece, overlap};

/// Finds the calls in a reply. No part of a marker is shown before it is sure that it is none; a call that is cut off, or
/// the white space around calls, isn't shown at all.
#[derive(Debug)]
pub(crate) struct ToolStream {
    format: &'static ToolFormat,
    tools: Vec<Callable>,
    /// Names the reply, for the ids of its calls.
    reply: Vec<u8>,
    state: State,
    waiting: String,
    /// Where `waiting` starts.
    start: usize,
    calls: usize,
}

#[derive(Debug)]
enum State {
    /// Nothing but white space has come.
    Start,
    Text,
    /// A call, which begins where `waiting` does, with a marker of so many bytes.
    Call(usize, Body),
    /// After a call.
    Between,
}

/// What has come out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Parsed {
    /// Text to show.
    Text(Piece),
    /// A whole call.
    Call(ToolCall),
}

// === impl ToolStream ===

impl ToolStream {
    /// For a reply that `reply` names, in which these tools may be called.
    pub(crate) fn new(format: &'static ToolFormat, tools: Vec<Callable>, reply: Vec<u8>) -> Self {
        Self {
            format,
            tools,
            reply,
            state: State::Start,
            waiting: String::new(),
            start: 0,
            calls: 0,
        }
    }

    /// How many calls have come out.
    pub(crate) fn calls(&self) -> usize {
        self.calls
    }

    /// What is known now that `piece` has come. Pieces leave no gaps.
    pub(crate) fn push(&mut self, piece: &Piece) -> Vec<Parsed> {
        self.waiting.push_str(&piece.text);
        let mut parsed = Vec::new();
        while self.advance(&mut parsed, false) {}
        parsed
    }

    /// The reply is over.
    pub(crate) fn finish(&mut self) -> Vec<Parsed> {
        let mut parsed = Vec::new();
        while self.advance(&mut parsed, true) {}
        parsed
    }

    /// One step; false if more must come first.
    fn advance(&mut self, parsed: &mut Vec<Parsed>, last: bool) -> bool {
        match &mut self.state {
            State::Start | State::Between if self.format.open.is_none() => self.advance_bare(last),
            State::Start | State::Text => self.advance_text(parsed, last),
            State::Between => {
                self.state = State::Text;
                true
            }
            State::Call(open, body) => {
                let context = Context {
                    format: self.format,
                    tools: &self.tools,
                };
                match body.advance(&self.waiting, *open, context, last) {
                    Progress::Incomplete => false,
                    Progress::Whole(calls, end) => {
                        for call in calls {
                            let id = self.format.new_id(&self.reply, self.calls);
                            let arguments = serde_json::Value::Object(call.arguments).to_string();
                            parsed.push(Parsed::Call(ToolCall {
                                id,
                                name: call.name,
                                arguments,
                            }));
                            self.calls += 1;
                        }
                        self.skip(end);
                        self.state = State::Between;
                        true
                    }
                    Progress::Invalid => self.give_up(parsed, last),
                }
            }
        }
    }

    /// What looked like a call is none. A call that the end of the reply cut off is not shown.
    fn give_up(&mut self, parsed: &mut Vec<Parsed>, last: bool) -> bool {
        let State::Call(open, _) = self.state else { return false };
        self.state = State::Text;
        if last && open > 0 {
            self.skip(self.waiting.len());
        } else {
            self.release(parsed, open);
        }
        true
    }

    /// Looks for the marker.
    fn advance_text(&mut self, parsed: &mut Vec<Parsed>, last: bool) -> bool {
        let Some(marker) = self.format.open else {
            self.release(parsed, self.waiting.len());
            return false;
        };
        if let Some(at) = self.waiting.find(marker) {
            let text = self.waiting[..at].trim_end().len();
            self.release(parsed, text);
            self.skip(at - text);
            self.state = State::Call(marker.len(), Body::default());
            return true;
        }
        let sure = self.waiting.len() - if last { 0 } else { overlap(&self.waiting, marker) };
        let text = self.waiting[..sure].trim_end();
        let text = if last && self.calls == 0 { sure } else { text.len() };
        if text > 0 {
            self.state = State::Text;
        }
        self.release(parsed, text);
        false
    }

    /// Looks for an object with a name at the very start, or right after a call.
    fn advance_bare(&mut self, last: bool) -> bool {
        let separators = |c: char| c.is_whitespace() || (self.calls > 0 && c == ';');
        let rest = self.waiting.trim_start_matches(separators);
        let rest = rest.strip_prefix(PYTHON_TAG).unwrap_or(rest).trim_start();
        let at = self.waiting.len() - rest.len();
        let maybe = rest.is_empty() || PYTHON_TAG.starts_with(rest);
        match begins_call(rest) {
            Some(true) => {
                self.skip(at);
                self.state = State::Call(0, Body::default());
                true
            }
            None if !last => false,
            Some(false) if maybe && !last => false,
            _ => {
                if last && rest.is_empty() && self.calls > 0 {
                    self.skip(self.waiting.len());
                }
                self.state = State::Text;
                true
            }
        }
    }

    fn release(&mut self, parsed: &mut Vec<Parsed>, length: usize) {
        parsed.extend(Piece::new(self.start, &self.waiting[..length]).map(Parsed::Text));
        self.skip(length);
    }

    fn skip(&mut self, length: usize) {
        self.waiting.drain(..length);
        self.start += length;
    }
}

/// True if `text` is an object whose first key is `name`, false if it isn't, `None` if that isn't sure yet.
pub(crate) fn begins_call(text: &str) -> Option<bool> {
    let mut rest = text;
    for part in ["{", "\"name\"", ":"] {
        match rest.strip_prefix(part) {
            Some(after) => rest = after.trim_start(),
            None if part.starts_with(rest) && !text.is_empty() => return None,
            None => return Some(false),
        }
    }
    Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is shown and what is called, whatever the borders between the pieces: `[name arguments]` for a call.
    fn check(template: &str, text: &str, expected: &str) {
        let format = ToolFormat::detect(template).expect("the template has tools");
        let tools = ["sum", "x y"].map(|name| Callable {
            name: name.to_owned(),
            parameters: None,
        });
        for length in [1, 2, 3, 7, text.len().max(1)] {
            let mut stream = ToolStream::new(format, tools.to_vec(), Vec::new());
            let mut found = String::new();
            let mut note = |parsed: Vec<Parsed>| {
                for parsed in parsed {
                    match parsed {
                        Parsed::Text(piece) => {
                            assert_eq!(&text[piece.start..piece.end()], piece.text);
                            found.push_str(&piece.text);
                        }
                        Parsed::Call(call) => found.push_str(&format!("[{} {}]", call.name, call.arguments)),
                    }
                }
            };
            let mut start = 0;
            while start < text.len() {
                let end = text
                    .floor_char_boundary((start + length).min(text.len()))
                    .max(start + 1);
                let end = text.ceil_char_boundary(end);
                note(stream.push(&Piece {
                    start,
                    text: text[start..end].to_owned(),
                }));
                start = end;
            }
            note(stream.finish());
            assert_eq!(found, expected, "{text:?} by {length}");
        }
    }

    #[test]
    fn hermes() {
        let check = |text: &str, expected: &str| check("tools <tool_call>", text, expected);
        let call = "<tool_call>\n{\"name\": \"sum\", \"arguments\": {\"a\": [1, {\"b\": \"}\"}]}}\n</tool_call>";
        let called = "[sum {\"a\":[1,{\"b\":\"}\"}]}]";
        check(call, called);
        check(&format!("Héllo  {call}\n"), &format!("Héllo{called}"));
        check(&format!("{call}\n{call}{call}"), &called.repeat(3));
        check(&format!("{call}\n\nDone. "), &format!("{called}\n\nDone."));
        check("a <tool_ call> b ", "a <tool_ call> b ");
        check("a <tool_call", "a <tool_call");
        check("a\n<tool_call>\n{\"name\": \"sum\", \"argum", "a");
        check("<tool_call>{\"name\":\"sum\"}", "[sum {}]");
        check(
            "<tool_call>{\"name\":\"sum\",\"arguments\":\"{\\\"a\\\":1}\"}</tool_call>",
            "[sum {\"a\":1}]",
        );
        check("<tool_call>hm</tool_call>", "<tool_call>hm</tool_call>");
        check(
            "<tool_call>{\"name\": \"other\"}</tool_call>!",
            "<tool_call>{\"name\": \"other\"}</tool_call>!",
        );
        check(
            "<tool_call>{nonsense}</tool_call>!",
            "<tool_call>{nonsense}</tool_call>!",
        );
    }

    #[test]
    fn mistral() {
        let check_args = |text: &str, expected: &str| check("tools [TOOL_CALLS] [ARGS]", text, expected);
        let check = |text: &str, expected: &str| check("tools [TOOL_CALLS]", text, expected);
        check(
            "[TOOL_CALLS] [{\"name\": \"sum\", \"arguments\": {}}, {\"name\": \"x y\"}]",
            "[sum {}][x y {}]",
        );
        check(
            "so [TOOL_CALLS][{\"name\": \"sum\", \"arguments\": {}}] [TOOL",
            "so[sum {}] [TOOL",
        );
        check_args(
            "[TOOL_CALLS]sum[ARGS]{\"a\": 1}[TOOL_CALLS]x y[CALL_ID]abc123DEF[ARGS]{}",
            "[sum {\"a\":1}][x y {}]",
        );
        check_args("[TOOL_CALLS]nothing[ARGS]{}", "[TOOL_CALLS]nothing[ARGS]{}");
    }

    #[test]
    fn llama() {
        let check = |text: &str, expected: &str| check("tools <|python_tag|>", text, expected);
        check(" \n{\"name\": \"sum\", \"parameters\": {\"a\": 1}}", "[sum {\"a\":1}]");
        check(
            "<|python_tag|>{ \"name\" : \"sum\"}; {\"name\":\"x y\"}",
            "[sum {}][x y {}]",
        );
        check("{\"name\": \"Bob\", \"age\": 3}", "{\"name\": \"Bob\", \"age\": 3}");
        check("{\"name\": \"sum\", \"par", "{\"name\": \"sum\", \"par");
        check("{\"age\": 3}", "{\"age\": 3}");
        check("Take {\"name\": \"sum\"}", "Take {\"name\": \"sum\"}");
        check("  ", "  ");
        check("", "");
    }

    #[test]
    fn tags() {
        let check = |text: &str, expected: &str| check("tools <tool_call> <function=", text, expected);
        let call = "<tool_call>\n<function=sum>\n<parameter=a>\n1\n</parameter>\n<parameter=b>\nx\ny\n</parameter>\n</function>\n</tool_call>";
        check(call, "[sum {\"a\":1,\"b\":\"x\\ny\"}]");
        check(&format!("{call}\n{call}"), &"[sum {\"a\":1,\"b\":\"x\\ny\"}]".repeat(2));
        check("a <tool_call>\n<function=sum>\n<para", "a");
    }
}
