//! Which loader of mistral.rs takes an architecture, by the name that config.json gives it.

use mistralrs::{MultimodalLoaderType, NormalLoaderType};

use crate::error::LoadError;

/// Multimodal architectures that are tested against transformers.
pub(crate) const CLAIMED: [&str; 6] = [
    "Idefics3ForConditionalGeneration",
    "Qwen2VLForConditionalGeneration",
    "Qwen2_5_VLForConditionalGeneration",
    "Qwen3VLForConditionalGeneration",
    "Gemma3ForConditionalGeneration",
    "LlavaForConditionalGeneration",
];

/// What loads a model.
#[derive(Debug, Clone)]
pub(crate) enum Architecture {
    /// One that may read images too.
    Multimodal(MultimodalLoaderType),
    /// One that reads text alone.
    Text(NormalLoaderType),
}

// === impl Architecture ===

impl Architecture {
    /// `name` is the first of `architectures`.
    ///
    /// # Errors
    /// [`LoadError::Unsupported`] if mistral.rs has no loader for it.
    pub(crate) fn find(name: &str) -> Result<Self, LoadError> {
        if let Ok(kind) = MultimodalLoaderType::from_causal_lm_name(name) {
            return Ok(Self::Multimodal(kind));
        }
        if let Ok(kind) = NormalLoaderType::from_causal_lm_name(name) {
            return Ok(Self::Text(kind));
        }
        Err(LoadError::Unsupported(format!(
            "config.json: architecture `{name}` is not one that mistral.rs 0.8.1 loads; the README of this plugin lists \
             them"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_find_their_loader() {
        for name in CLAIMED {
            assert!(
                matches!(Architecture::find(name), Ok(Architecture::Multimodal(_))),
                "{name}"
            );
        }
        assert!(matches!(
            Architecture::find("LlamaForCausalLM"),
            Ok(Architecture::Text(NormalLoaderType::Llama))
        ));
        let message = Architecture::find("SmolVLMForConditionalGeneration")
            .expect_err("not there")
            .to_string();
        assert!(message.contains("not one that mistral.rs"), "{message}");
    }
}
