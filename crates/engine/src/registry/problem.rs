//! What is wrong with a registry: every problem at once, each with its line.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A registry that can't be used, with everything that is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct RegistryError {
    /// The file, as the operator named it.
    pub file: PathBuf,
    /// What is wrong with it, in the order of its lines; never empty.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong with a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line of the file, from 1; `None` if it is the file as a whole.
    pub line: Option<usize>,
    /// Id of the model, if the line belongs to one that has an id.
    pub model: Option<String>,
    /// What is wrong and what to do.
    pub message: String,
}

/// Finds the line of a byte of a text.
pub(super) struct Lines {
    /// Where each line begins.
    starts: Vec<usize>,
}

// === impl RegistryError ===

impl RegistryError {
    /// All `problems` of `file`, put in order.
    pub(super) fn new(file: &Path, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.line);
        Self {
            file: file.into(),
            problems,
        }
    }

    /// A problem of the file as a whole.
    pub(crate) fn whole(file: &Path, message: String) -> Self {
        Self::new(
            file,
            vec![Problem {
                line: None,
                model: None,
                message,
            }],
        )
    }
}

impl fmt::Display for RegistryError {
    /// One line for each problem: `models.toml:12: model "x": what is wrong`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}", self.file.display())?;
            if let Some(line) = problem.line {
                write!(f, ":{line}")?;
            }
            write!(f, ": {problem}")?;
        }
        Ok(())
    }
}

// === impl Problem ===

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(model) = &self.model {
            write!(f, "model {model:?}: ")?;
        }
        f.write_str(&self.message)
    }
}

// === impl Lines ===

impl Lines {
    /// The lines of `text`.
    pub(super) fn new(text: &str) -> Self {
        let after_breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            starts: std::iter::once(0).chain(after_breaks).collect(),
        }
    }

    /// Number, from 1, of the line where `span` begins.
    pub(super) fn of(&self, span: &Range<usize>) -> usize {
        self.starts.partition_point(|start| *start <= span.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_from_one() {
        let lines = Lines::new("a\nbc\n\nd");
        for (byte, line) in [(0, 1), (1, 1), (2, 2), (4, 2), (5, 3), (6, 4), (99, 4)] {
            assert_eq!(lines.of(&(byte..byte)), line, "byte {byte}");
        }
    }

    #[test]
    fn problems_are_shown_one_a_line_in_the_order_of_the_file() {
        let problem = |line, model: Option<&str>, message: &str| Problem {
            line,
            model: model.map(Into::into),
            message: message.into(),
        };
        let problems = vec![
            problem(Some(9), Some("x"), "b"),
            problem(None, None, "c"),
            problem(Some(2), None, "a"),
        ];
        let error = RegistryError::new(Path::new("models.toml"), problems);
        assert_eq!(
            error.to_string(),
            "models.toml: c\nmodels.toml:2: a\nmodels.toml:9: model \"x\": b"
        );
    }
}
