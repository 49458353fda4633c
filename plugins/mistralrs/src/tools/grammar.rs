//! Grammars for calls of tools in a model's own format, and for JSON, in the Lark dialect of llguidance.

use std::fmt::Write as _;

use llguidance::api::{GrammarWithLexer, TopLevelGrammar};
use serde_json::Value;

use super::{Syntax, ToolFormat, format::PYTHON_TAG, xml::is_bare};
use crate::text::Vocabulary;

/// Where models differ in whether they put a blank: before a reply, and between calls.
const BLANK: &str = "(/[ \\n]/)?";

/// A grammar in its source form.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Grammar {
    /// Rules; `@j0` stands for the first of `schemas`.
    lark: String,
    schemas: Vec<Value>,
}

/// A tool, with the schema of its arguments as the grammar engine takes it.
#[derive(Debug, Clone)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) arguments: Value,
    /// For formats that write arguments one by one: their names, whether they are required, and their schemas.
    pub(crate) each: Vec<Argument>,
}

/// One argument of a tool.
#[derive(Debug, Clone)]
pub(crate) struct Argument {
    pub(crate) name: String,
    pub(crate) required: bool,
    pub(crate) schema: Value,
}

/// What a reply with calls looks like.
#[derive(Clone, Copy)]
pub(crate) struct Calls<'a> {
    pub(crate) format: &'static ToolFormat,
    pub(crate) tools: &'a [Tool],
    /// At least 1.
    pub(crate) most: usize,
    pub(crate) vocabulary: &'a Vocabulary,
}

// === impl Grammar ===

impl Grammar {
    /// One value under `schema`; a blank may come first.
    pub(crate) fn json(schema: Value) -> Self {
        let mut grammar = Self::default();
        let value = grammar.schema(schema);
        grammar.rule("start", &format!("(\" \")? {value}"));
        grammar
    }

    /// Calls and nothing else.
    pub(crate) fn calls(calls: Calls<'_>) -> Self {
        let mut grammar = Self::default();
        grammar.add_calls(calls);
        grammar.rule("start", &format!("{BLANK} calls"));
        grammar
    }

    /// Either calls or one value under `schema`.
    pub(crate) fn calls_or_json(calls: Calls<'_>, schema: Value) -> Self {
        let mut grammar = Self::default();
        grammar.add_calls(calls);
        let value = grammar.schema(schema);
        grammar.rule("start", &format!("{BLANK} calls | (\" \")? {value}"));
        grammar
    }

    /// Any text, then calls. Only for replies in which a call has begun.
    pub(crate) fn text_then_calls(calls: Calls<'_>) -> Self {
        let mut grammar = Self::default();
        grammar.add_calls(calls);
        match calls.format.open {
            None => grammar.rule("start", &format!("({})? / {{0,8}}/ calls", calls.marker(PYTHON_TAG))),
            Some(open) if calls.vocabulary.special(open).is_some() => {
                grammar.rule("start", "calls | TEXT calls");
                grammar.rule("TEXT", "/(?s:.+)/");
            }
            Some(open) => {
                grammar.rule("start", "text rest");
                grammar.rule(&format!("text[suffix={}]", literal(open)), "/(?s:.*)/");
            }
        }
        grammar
    }

    /// Equal for equal grammars.
    pub(crate) fn digest(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        for part in std::iter::once(self.lark.clone()).chain(self.schemas.iter().map(Value::to_string)) {
            hasher.update(&part.len().to_le_bytes()).update(part.as_bytes());
        }
        hasher.finalize()
    }

    /// As the engine takes it.
    pub(crate) fn top_level(&self) -> TopLevelGrammar {
        let lark = GrammarWithLexer {
            lark_grammar: Some(self.lark.clone()),
            ..GrammarWithLexer::default()
        };
        let schemas = self.schemas.iter().enumerate().map(|(index, schema)| GrammarWithLexer {
            name: Some(format!("j{index}")),
            json_schema: Some(schema.clone()),
            ..GrammarWithLexer::default()
        });
        TopLevelGrammar {
            grammars: std::iter::once(lark).chain(schemas).collect(),
            max_tokens: None,
        }
    }

    fn rule(&mut self, name: &str, body: &str) {
        // Writing to a string doesn't fail.
        let _ = writeln!(self.lark, "{name}: {body}");
    }

    /// A reference to values under `schema`.
    fn schema(&mut self, schema: Value) -> String {
        self.schemas.push(schema);
        format!("@j{}", self.schemas.len() - 1)
    }

    /// The rules `calls`, for one or more, and `rest`, for the same after the first marker.
    fn add_calls(&mut self, calls: Calls<'_>) {
        let bodies: Vec<String> = calls.tools.iter().map(|tool| self.body(tool, calls)).collect();
        self.rule("body", &bodies.join(" | "));
        let open = calls.format.open.map_or(String::new(), |open| calls.marker(open));
        let close = calls.format.close.map_or(String::new(), |close| calls.marker(close));
        let more = |part: String| match calls.most {
            0 | 1 => String::new(),
            most => format!("({part}){{0,{}}}", most - 1),
        };
        match calls.format.syntax {
            Syntax::Json {
                lead, tail, list: true, ..
            } => {
                let (lead, tail) = (literal(lead), literal(tail));
                let more = more("\", \" body".to_owned());
                self.rule("rest", &format!("{lead} \"[\" body {more} \"]\" {tail} {close}"));
            }
            Syntax::Json {
                lead,
                tail,
                list: false,
                ..
            } => {
                let call = format!("{} body {} {close}", literal(lead), literal(tail));
                let more = more(format!("{BLANK} {open} {call}"));
                self.rule("rest", &format!("{call} {more}"));
            }
            Syntax::Args { .. } => self.rule("rest", &format!("body {}", more(format!("{open} body")))),
            Syntax::Xml => {
                let more = more(format!("{BLANK} {open} body {close}"));
                self.rule("rest", &format!("body {close} {more}"));
            }
        }
        self.rule("calls", &format!("{open} rest"));
    }

    /// A call of `tool` between the markers.
    fn body(&mut self, tool: &Tool, calls: Calls<'_>) -> String {
        match calls.format.syntax {
            Syntax::Json { arguments: key, .. } => {
                let head = format!("{{\"name\": {}, \"{key}\": ", Value::from(tool.name.as_str()));
                let arguments = self.schema(tool.arguments.clone());
                format!("{} {arguments} \"}}\"", literal(&head))
            }
            Syntax::Args { call_id } => {
                let arguments = self.schema(tool.arguments.clone());
                let id = if call_id {
                    format!("{} /[A-Za-z0-9]{{9}}/", calls.marker("[CALL_ID]"))
                } else {
                    String::new()
                };
                format!("{} {id} {} {arguments}", literal(&tool.name), calls.marker("[ARGS]"))
            }
            Syntax::Xml => {
                let arguments: Vec<String> = tool.each.iter().map(|argument| self.argument(argument)).collect();
                let head = literal(&format!("\n<function={}>\n", tool.name));
                format!("{head} {} \"</function>\\n\"", arguments.join(" "))
            }
        }
    }

    /// One argument in tags.
    fn argument(&mut self, argument: &Argument) -> String {
        const CLOSE: &str = "\"\\n</parameter>\\n\"";
        let open = literal(&format!("<parameter={}>\n", argument.name));
        let schema = &argument.schema;
        let value = if let Some(values) = strings(schema).filter(|_| is_bare(Some(schema))) {
            let values: Vec<String> = values.iter().map(|value| literal(value)).collect();
            format!("({}) {CLOSE}", values.join(" | "))
        } else if is_bare(Some(schema)) {
            let name = format!("text{}", self.lark.len());
            self.rule(&format!("{name}[suffix={CLOSE}]"), "/(?s:.*)/");
            name
        } else {
            format!("{} {CLOSE}", self.schema(schema.clone()))
        };
        let optional = if argument.required { "" } else { "?" };
        format!("({open} {value}){optional}")
    }
}

// === impl Calls ===

impl Calls<'_> {
    /// A marker as it stands in a rule: by its id if it is a token that text can't spell.
    fn marker(&self, text: &str) -> String {
        self.vocabulary
            .special(text)
            .map_or_else(|| literal(text), |id| format!("<[{id}]>"))
    }
}

/// The strings that a schema lists.
fn strings(schema: &Value) -> Option<Vec<&str>> {
    match schema.get("const") {
        Some(value) => Some(vec![value.as_str()?]),
        None => schema.get("enum")?.as_array()?.iter().map(Value::as_str).collect(),
    }
}

/// `text` as it stands in a rule.
fn literal(text: &str) -> String {
    Value::from(text).to_string()
}
