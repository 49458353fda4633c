//! Text clean-up that a Python tokenizer does before its sentencepiece model, and that tokenizer.json may lack.

use super::files::TokenizerConfig;

/// What `SiglipTokenizer` does: lower-case, no ASCII punctuation, single spaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Canonical {
    lowercase: bool,
}

// === impl Canonical ===

impl Canonical {
    /// The clean-up of a tokenizer class, if it has one. Done twice it changes nothing more.
    pub(super) fn for_class(config: &TokenizerConfig) -> Option<Self> {
        let class = config.tokenizer_class.as_deref().unwrap_or_default();
        matches!(class, "SiglipTokenizer" | "SiglipTokenizerFast").then(|| Self {
            lowercase: config.do_lower_case.unwrap_or(true),
        })
    }

    /// The cleaned text.
    pub(super) fn apply(self, text: &str) -> String {
        let lowered = if self.lowercase {
            text.to_lowercase()
        } else {
            text.to_owned()
        };
        let bare: String = lowered.chars().filter(|c| !c.is_ascii_punctuation()).collect();
        bare.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleans_as_the_reference_does() {
        let rule = Canonical { lowercase: true };
        for (text, clean) in [
            ("A photo, of  a\tCAT!", "a photo of a cat"),
            ("", ""),
            ("  ...  ", ""),
            ("Ünï-cödé № 5", "ünïcödé № 5"),
        ] {
            assert_eq!(rule.apply(text), clean);
            assert_eq!(rule.apply(clean), clean);
        }
    }
}
