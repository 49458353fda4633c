//! One call of a tool, or one list of them, read while it comes.

use serde_json::{Map, Value};

use super::{Syntax, ToolFormat, json_end::JsonEnd, xml};

/// A tool that may be called, as far as reading its calls needs it.
#[derive(Debug, Clone)]
pub(crate) struct Callable {
    pub(crate) name: String,
    /// JSON Schema of the arguments.
    pub(crate) parameters: Option<Value>,
}

/// A call that was read whole.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Called {
    pub(crate) name: String,
    pub(crate) arguments: Map<String, Value>,
}

/// What is known of a call so far.
#[derive(Debug, PartialEq)]
pub(crate) enum Progress {
    /// More must come.
    Incomplete,
    /// All calls between one pair of markers, and the position after them.
    Whole(Vec<Called>, usize),
    /// It is no call after all.
    Invalid,
}

/// How far a call has been read, from its opening marker on.
#[derive(Debug, Default)]
pub(crate) struct Body {
    /// The end of the opening marker and of what stands before the JSON; with it the name if that is where it stands.
    head: Option<(usize, Option<String>)>,
    scanned: usize,
    scan: JsonEnd,
    /// The end of the JSON.
    end: Option<usize>,
}

/// A name that is longer than this is none.
const LONGEST_NAME: usize = 256;

// === impl Body ===

impl Body {
    /// Reads on in `text`, which begins with the opening marker, of `open` bytes, and has more than at the last call.
    /// `last`: nothing more will come.
    pub(crate) fn advance(&mut self, text: &str, open: usize, context: Context<'_>, last: bool) -> Progress {
        let progress = match context.format.syntax {
            Syntax::Xml => self.advance_xml(text, open, context),
            Syntax::Json { .. } | Syntax::Args { .. } => self.advance_json(text, open, context, last),
        };
        match progress {
            Progress::Incomplete if last => Progress::Invalid,
            progress => progress,
        }
    }

    fn advance_json(&mut self, text: &str, open: usize, context: Context<'_>, last: bool) -> Progress {
        if self.head.is_none() {
            match read_head(&text[open..], &context.format.syntax) {
                Head::Incomplete => return Progress::Incomplete,
                Head::Invalid => return Progress::Invalid,
                Head::Whole(length, name) => self.head = Some((open + length, name)),
            }
        }
        let Some((from, name)) = &self.head else {
            return Progress::Invalid;
        };
        if self.end.is_none() {
            let scanned = self.scanned.max(*from);
            self.end = self.scan.feed(&text[scanned..]).map(|end| scanned + end);
            self.scanned = text.len();
        }
        let Some(end) = self.end else {
            return Progress::Incomplete;
        };
        let rest = &text[end..];
        let blank = rest.len() - rest.trim_start().len();
        let close = context.format.close.unwrap_or("");
        let end = if rest[blank..].starts_with(close) {
            end + if close.is_empty() { 0 } else { blank + close.len() }
        } else if close.starts_with(&rest[blank..]) && !last {
            return Progress::Incomplete;
        } else {
            end
        };
        let json = &text[*from..self.end.unwrap_or(end)];
        match read_calls(json, name.as_deref(), context) {
            Some(calls) => Progress::Whole(calls, end),
            None => Progress::Invalid,
        }
    }

    fn advance_xml(&mut self, text: &str, open: usize, context: Context<'_>) -> Progress {
        let close = context.format.close.unwrap_or("");
        let from = text
            .floor_char_boundary(self.scanned.saturating_sub(close.len()))
            .max(open);
        self.scanned = text.len();
        let Some(at) = text[from..].find(close) else {
            return Progress::Incomplete;
        };
        let end = from + at;
        match xml::read(&text[open..end], context.tools) {
            Some(call) => Progress::Whole(vec![call], end + close.len()),
            None => Progress::Invalid,
        }
    }
}

/// What a call is read by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) format: &'static ToolFormat,
    pub(crate) tools: &'a [Callable],
}

/// What stands between the opening marker and the JSON.
enum Head {
    Incomplete,
    /// Its length, and the name in it.
    Whole(usize, Option<String>),
    Invalid,
}

fn read_head(text: &str, syntax: &Syntax) -> Head {
    let mut length = text.len() - text.trim_start().len();
    let mut name = None;
    if let Syntax::Args { .. } = syntax {
        let Some((head, _)) = text.split_once("[ARGS]") else {
            return if text.len() > LONGEST_NAME {
                Head::Invalid
            } else {
                Head::Incomplete
            };
        };
        name = Some(
            head.split_once("[CALL_ID]")
                .map_or(head, |(name, _)| name)
                .trim()
                .to_owned(),
        );
        length = head.len() + "[ARGS]".len();
        length += text[length..].len() - text[length..].trim_start().len();
    }
    match text[length..].chars().next() {
        None => Head::Incomplete,
        Some('{') => Head::Whole(length, name),
        Some('[') if name.is_none() => Head::Whole(length, name),
        Some(_) => Head::Invalid,
    }
}

/// The calls that `json` has, if it is nothing else.
fn read_calls(json: &str, name: Option<&str>, context: Context<'_>) -> Option<Vec<Called>> {
    let value: Value = serde_json::from_str(json).ok()?;
    if let Some(name) = name {
        let Value::Object(arguments) = value else { return None };
        return Some(vec![called(name, arguments, context)?]);
    }
    let calls = match value {
        Value::Array(calls) => calls,
        call => vec![call],
    };
    let calls: Vec<Called> = calls
        .into_iter()
        .map(|call| read_call(call, context))
        .collect::<Option<_>>()?;
    (!calls.is_empty()).then_some(calls)
}

fn read_call(call: Value, context: Context<'_>) -> Option<Called> {
    let Value::Object(mut call) = call else { return None };
    let arguments = match call.remove("arguments").or_else(|| call.remove("parameters")) {
        Some(Value::Object(arguments)) => arguments,
        // Some models write the object as a string.
        Some(Value::String(text)) => serde_json::from_str(&text).ok()?,
        Some(Value::Null) | None => Map::new(),
        Some(_) => return None,
    };
    called(call.get("name")?.as_str()?, arguments, context)
}

fn called(name: &str, arguments: Map<String, Value>, context: Context<'_>) -> Option<Called> {
    let known = context.tools.iter().any(|tool| tool.name == name);
    known.then(|| Called {
        name: name.to_owned(),
        arguments,
    })
}
