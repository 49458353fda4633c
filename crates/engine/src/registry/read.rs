//! TOML to raw models. A table is read key by key, so that one bad key hides no other.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::path::Path;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use super::problem::{Lines, Problem, RegistryError};
use super::raw::{RawBatch, RawModel, RawRegistry, RawSource, keys};

/// Most syntax errors that are reported: after the first few, most follow from others.
const MAX_SYNTAX_ERRORS: usize = 10;

/// A registry whose syntax is right; keys with problems are left out of its models.
pub(super) struct Document {
    /// The models, in the order of the file.
    pub models: Vec<Entry>,
    /// What is wrong so far.
    pub problems: Vec<Problem>,
}

/// One `[[model]]`.
pub(super) struct Entry {
    /// Its keys that have the right type.
    pub raw: RawModel,
    /// Where they are.
    pub places: Places,
}

/// The lines of a model's keys. A key in a table or list is called `batch.max`, `aliases.0`.
pub(super) struct Places {
    header: usize,
    keys: HashMap<String, usize>,
}

/// Reads one document, collecting what is wrong with it.
struct Reader {
    lines: Lines,
    problems: Vec<Problem>,
    /// Id of the model being read.
    model: Option<String>,
}

/// Reads `text`, the content of `file`.
///
/// # Errors
/// Its syntax errors. Wrong keys and types are in the document's problems.
pub(super) fn read(file: &Path, text: &str) -> Result<Document, RegistryError> {
    let mut reader = Reader {
        lines: Lines::new(text),
        problems: vec![],
        model: None,
    };
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for error in errors.iter().take(MAX_SYNTAX_ERRORS) {
            let span = error.span().unwrap_or_default();
            reader.problem(&span, format!("is not TOML: {}", error.message().replace('\n', ", ")));
        }
        return Err(RegistryError::new(file, reader.problems));
    }
    let mut models = vec![];
    for (key, value) in root.into_inner() {
        if key.get_ref() == "model" {
            models = reader.models(value);
        } else {
            reader.unknown_key(&key.span(), key.get_ref(), &keys::<RawRegistry>());
        }
    }
    Ok(Document {
        models,
        problems: reader.problems,
    })
}

// === impl Document ===

impl Document {
    /// Names of the plugins that its models name.
    pub(super) fn plugins(&self) -> BTreeSet<String> {
        self.models
            .iter()
            .filter_map(|entry| entry.raw.plugin.clone())
            .collect()
    }
}

// === impl Places ===

impl Places {
    /// The line of a key; of the table around it, if it isn't written; or of the model's header.
    pub(super) fn line(&self, key: &str) -> usize {
        let around = || key.rsplit_once('.').and_then(|(table, _)| self.keys.get(table));
        *self.keys.get(key).or_else(around).unwrap_or(&self.header)
    }

    /// True if the key is written, even with a value that can't be read.
    pub(super) fn has(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    fn record(&mut self, lines: &Lines, path: &str, at: &Range<usize>, value: &DeValue<'_>) {
        self.keys.insert(path.into(), lines.of(at));
        match value {
            DeValue::Table(table) => {
                for (key, value) in table {
                    self.record(
                        lines,
                        &format!("{path}.{}", key.get_ref()),
                        &key.span(),
                        value.get_ref(),
                    );
                }
            }
            DeValue::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.record(lines, &format!("{path}.{index}"), &item.span(), item.get_ref());
                }
            }
            _ => {}
        }
    }
}

// === impl Reader ===

impl Reader {
    fn problem(&mut self, span: &Range<usize>, message: String) {
        let line = Some(self.lines.of(span));
        self.problems.push(Problem {
            line,
            model: self.model.clone(),
            message,
        });
    }

    fn unknown_key(&mut self, span: &Range<usize>, key: &str, known: &[String]) {
        self.problem(
            span,
            format!("unknown key {key:?} (expected one of {})", known.join(", ")),
        );
    }

    fn models(&mut self, value: Spanned<DeValue<'_>>) -> Vec<Entry> {
        let span = value.span();
        let DeValue::Array(items) = value.into_inner() else {
            self.problem(
                &span,
                "\"model\" is not a list: begin each model with the line [[model]]".into(),
            );
            return vec![];
        };
        let mut models = vec![];
        for item in items {
            let span = item.span();
            match item.into_inner() {
                DeValue::Table(table) => models.push(self.model(span, table)),
                _ => self.problem(
                    &span,
                    "a model is not a table: begin each with the line [[model]]".into(),
                ),
            }
            self.model = None;
        }
        models
    }

    fn model(&mut self, span: Range<usize>, table: DeTable<'_>) -> Entry {
        self.model = match table.get("id").map(Spanned::get_ref) {
            Some(DeValue::String(id)) => Some(id.to_string()),
            _ => None,
        };
        let mut places = Places {
            header: self.lines.of(&span),
            keys: HashMap::new(),
        };
        for (key, value) in &table {
            places.record(&self.lines, key.get_ref(), &key.span(), value.get_ref());
        }
        let table = self.sound_keys::<RawModel>(table, "");
        let raw = RawModel::deserialize_table(table);
        Entry {
            raw: raw.unwrap_or_default(),
            places,
        }
    }

    /// The keys of `table` that a `T` has and that can be read as one. The others become problems.
    fn sound_keys<'i, T: DeserializeOwned + JsonSchema>(&mut self, table: DeTable<'i>, prefix: &str) -> DeTable<'i> {
        let known = keys::<T>();
        let mut sound = DeTable::new();
        for (key, value) in table {
            let name = format!("{prefix}{}", key.get_ref());
            if !known.iter().any(|known| known == key.get_ref()) {
                self.unknown_key(&key.span(), &name, &known);
                continue;
            }
            let value = self.sound_value(&name, value);
            let alone = DeTable::from_iter([(key.clone(), value.clone())]);
            match T::deserialize_table(alone) {
                Ok(_) => {
                    sound.insert(key, value);
                }
                Err(error) => {
                    let span = error.span().unwrap_or_else(|| key.span());
                    self.problem(&span, format!("{name} is not right: {}", error.message()));
                }
            }
        }
        sound
    }

    /// `value` of the key `name`, without the parts of it that become problems of their own.
    fn sound_value<'i>(&mut self, name: &str, value: Spanned<DeValue<'i>>) -> Spanned<DeValue<'i>> {
        let span = value.span();
        let value = match (name, value.into_inner()) {
            ("source", DeValue::Table(table)) => DeValue::Table(self.sound_keys::<RawSource>(table, "source.")),
            ("batch", DeValue::Table(table)) => DeValue::Table(self.sound_keys::<RawBatch>(table, "batch.")),
            ("options", DeValue::Table(table)) => DeValue::Table(self.json_like(table)),
            (_, other) => other,
        };
        Spanned::new(span, value)
    }

    /// The options that JSON can say too.
    fn json_like<'i>(&mut self, table: DeTable<'i>) -> DeTable<'i> {
        let mut kept = DeTable::new();
        for (key, value) in table {
            match not_json(value.get_ref()) {
                None => {
                    kept.insert(key, value);
                }
                Some(what) => {
                    let message = format!(
                        "option {:?} holds {what}, which JSON doesn't have; write text",
                        key.get_ref()
                    );
                    self.problem(&key.span(), message);
                }
            }
        }
        kept
    }
}

// === helpers ===

/// Something in `value` that can't be sent to a plugin as JSON.
fn not_json(value: &DeValue<'_>) -> Option<&'static str> {
    match value {
        DeValue::Datetime(_) => Some("a date or time"),
        DeValue::Float(number) if matches!(number.as_str().trim_start_matches(['+', '-']), "nan" | "inf") => {
            Some("nan or inf")
        }
        DeValue::Array(items) => items.iter().find_map(|item| not_json(item.get_ref())),
        DeValue::Table(table) => table.iter().find_map(|(_, value)| not_json(value.get_ref())),
        DeValue::String(_) | DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) => None,
    }
}

/// Reading a type from a table that has been parsed.
trait DeserializeTable: DeserializeOwned {
    fn deserialize_table(table: DeTable<'_>) -> Result<Self, toml::de::Error> {
        Self::deserialize(Deserializer::from(Spanned::new(0..0, table)))
    }
}

impl<T: DeserializeOwned> DeserializeTable for T {}
