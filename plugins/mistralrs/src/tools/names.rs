//! Names of properties other than some given ones, as a regular expression.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Longer names aren't taken into account, and neither are more than so many letters in all.
const MAX_LETTERS: usize = 4_096;
const MAX_NAME: usize = 128;

/// What is written without an escape in a JSON string, but for the letters that go before: the end of a negated class.
const NOT_PLAIN: &str = r#""\\\x00-\x1f\x7f]"#;

/// Names by their letters.
#[derive(Default)]
struct Trie {
    ends: bool,
    next: BTreeMap<char, Trie>,
}

/// A pattern for every name, spelt without escapes, that is none of `names`. `None` if those are too long for it.
pub(crate) fn all_but(names: Vec<&str>) -> Option<String> {
    let mut root = Trie::default();
    if names.iter().map(|name| name.len()).sum::<usize>() > MAX_LETTERS
        || names.iter().any(|name| name.len() > MAX_NAME)
    {
        return None;
    }
    for name in names {
        let mut node = &mut root;
        for letter in name.chars() {
            node = node.next.entry(letter).or_default();
        }
        node.ends = true;
    }
    let mut pattern = "^".to_owned();
    root.write_others(&mut pattern);
    pattern.push('$');
    Some(pattern)
}

impl Trie {
    /// Everything but the names from here on.
    fn write_others(&self, pattern: &mut String) {
        let letters: String = self.next.keys().map(|&letter| spell(letter)).collect();
        // Writing to a string doesn't fail.
        let _ = write!(pattern, "(?:[^{letters}{NOT_PLAIN}[^{NOT_PLAIN}*");
        for (&letter, next) in self.next.iter().filter(|(letter, _)| is_plain(**letter)) {
            let _ = write!(pattern, "|{}", spell(letter));
            next.write_others(pattern);
        }
        pattern.push(')');
        if !self.ends {
            pattern.push('?');
        }
    }
}

/// True if JSON needs no escape for it.
fn is_plain(letter: char) -> bool {
    letter != '"' && letter != '\\' && !letter.is_ascii_control()
}

/// A letter in a regular expression, in a class or out of it.
fn spell(letter: char) -> String {
    format!("\\x{{{:x}}}", u32::from(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_has_a_way_round_every_name() {
        assert_eq!(
            all_but(vec!["a"]).as_deref(),
            Some(concat!(
                r#"^(?:[^\x{61}"\\\x00-\x1f\x7f][^"\\\x00-\x1f\x7f]*"#,
                r#"|\x{61}(?:[^"\\\x00-\x1f\x7f][^"\\\x00-\x1f\x7f]*))?$"#
            ))
        );
        assert_eq!(all_but(vec![&"x".repeat(200)]), None);
    }
}
