//! Grammars, compiled once and kept.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use llguidance::{
    Matcher, ParserFactory,
    api::{ParserLimits, TopLevelGrammar},
};

use super::grammar::Grammar;
use crate::text::Vocabulary;

/// How many compiled grammars are kept.
const KEPT: usize = 64;

/// Room for the compiler, which calls itself for every level of a schema and every reference in it.
const STACK_BYTES: usize = 64 << 20;

/// Longest message about a schema that the compiler refuses.
const MAX_MESSAGE: usize = 300;

/// Where the engine gave up in a way that says nothing to the caller.
const BEYOND: &str = "it is beyond what the grammar engine can do";

/// Compiles grammars for one vocabulary. Work and memory are bounded, both to compile and to follow a grammar.
pub(crate) struct Grammars {
    factory: Arc<ParserFactory>,
    /// The latest first.
    kept: Mutex<VecDeque<(blake3::Hash, Compiled)>>,
}

/// A matcher at the start of a grammar, or why there is none.
type Compiled = Result<Arc<Matcher>, String>;

// === impl Grammars ===

impl Grammars {
    /// A compiler for replies in `vocabulary`.
    ///
    /// # Errors
    /// In words, if the grammar engine can't use the vocabulary.
    pub(crate) fn new(vocabulary: &Vocabulary) -> Result<Self, String> {
        let mut factory = ParserFactory::new_simple(vocabulary.env()).map_err(|error| error.to_string())?;
        factory.quiet();
        *factory.limits_mut() = ParserLimits {
            // A state takes one or two kB, and each reply has its own.
            max_lexer_states: 20_000,
            max_grammar_size: 200_000,
            // An object with as many optional properties has a row of some items for each.
            max_items_in_row: 10_000,
            verbose_errors: false,
            ..ParserLimits::default()
        };
        Ok(Self {
            factory: Arc::new(factory),
            kept: Mutex::new(VecDeque::new()),
        })
    }

    /// A matcher at the start of `grammar`.
    ///
    /// # Errors
    /// In words, if the grammar is beyond what can be followed.
    pub(crate) fn matcher(&self, grammar: &Grammar) -> Result<Matcher, String> {
        let key = grammar.digest();
        let kept = self.take(&key);
        let compiled = kept.unwrap_or_else(|| self.compile(grammar).map(Arc::new));
        let matcher = compiled
            .as_ref()
            .map(|matcher| matcher.deep_clone())
            .map_err(Clone::clone);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_front((key, compiled));
        kept.truncate(KEPT);
        matcher
    }

    fn take(&self, key: &blake3::Hash) -> Option<Compiled> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(other, _)| other == key)?;
        kept.remove(at).map(|(_, compiled)| compiled)
    }

    fn compile(&self, grammar: &Grammar) -> Result<Matcher, String> {
        let grammar: TopLevelGrammar = grammar.top_level();
        let factory = Arc::clone(&self.factory);
        let compile = move || factory.create_parser(grammar).map(|parser| Matcher::new(Ok(parser)));
        let thread = thread::Builder::new()
            .name("grammar".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(compile);
        let thread = thread.map_err(|error| format!("no thread to compile it: {error}"))?;
        let compiled = match thread.join() {
            Ok(compiled) => compiled.map_err(|error| error.to_string()),
            Err(_) => Err(BEYOND.to_owned()),
        };
        let mut matcher = compiled.map_err(|message| shorten(&message))?;
        match matcher.compute_mask() {
            Ok(_) => Ok(matcher),
            Err(error) => Err(shorten(&error.to_string())),
        }
    }
}

/// What the caller should hear of an engine's message, which may go on with the whole grammar.
fn shorten(message: &str) -> String {
    if message.starts_with("panic") {
        return BEYOND.to_owned();
    }
    if message.contains("NoExtension") {
        return "no value is valid under it".to_owned();
    }
    let mut lines = message
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('<'));
    let first = lines.next().unwrap_or(BEYOND);
    // Where the message quotes, its point comes last.
    let message = match lines.find_map(|line| line.strip_prefix("error: ")) {
        Some(point) => format!("{first} {point}"),
        None => first.to_owned(),
    };
    message[..message.floor_char_boundary(MAX_MESSAGE)].to_owned()
}
