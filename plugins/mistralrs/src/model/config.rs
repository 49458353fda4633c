//! config.json in the words that mistral.rs knows. Newer versions of transformers write some of it otherwise.

use serde_json::{Map, Value, json};

use super::facts::Facts;
use crate::error::LoadError;

/// What mistral.rs is to read. Nothing that is there already is changed.
pub(crate) fn translate(config: &Map<String, Value>, architecture: &str) -> Map<String, Value> {
    let mut translated = config.clone();
    section(&mut translated);
    if let Some(Value::Object(text)) = translated.get_mut("text_config") {
        section(text);
    }
    // These keep their language model's numbers with the others.
    if matches!(
        architecture,
        "Qwen2VLForConditionalGeneration" | "Qwen2_5_VLForConditionalGeneration"
    ) && let Some(Value::Object(text)) = translated.get("text_config").cloned()
    {
        for (key, value) in text {
            translated.entry(key).or_insert(value);
        }
    }
    translated
}

/// The layers' settings of one model within the configuration.
fn section(section: &mut Map<String, Value>) {
    if let Some(Value::Object(rope)) = section.get("rope_parameters").cloned() {
        let inner = |name: &str| rope.get(name).and_then(Value::as_object).cloned();
        if let Some(global) = inner("full_attention") {
            fill_rope(section, &global);
            let local = inner("sliding_attention").and_then(|local| local.get("rope_theta").cloned());
            if let Some(theta) = local {
                section.entry("rope_local_base_freq").or_insert(theta);
            }
        } else {
            fill_rope(section, &rope);
        }
    }
    let types = section.get("layer_types").and_then(Value::as_array);
    let full = types.and_then(|types| types.iter().position(|kind| kind == "full_attention"));
    if let Some(full) = full.filter(|&full| full > 0) {
        section.entry("sliding_window_pattern").or_insert(json!(full + 1));
    }
    if let Some(dtype) = section.get("dtype").cloned() {
        section.entry("torch_dtype").or_insert(dtype);
    }
}

fn fill_rope(section: &mut Map<String, Value>, rope: &Map<String, Value>) {
    let mut scaling = rope.clone();
    if let Some(theta) = scaling.remove("rope_theta") {
        section.entry("rope_theta").or_insert(theta);
    }
    let plain = scaling.get("rope_type").is_none_or(|kind| kind == "default");
    if !plain || scaling.contains_key("mrope_section") {
        section.entry("rope_scaling").or_insert(Value::Object(scaling));
    }
}

/// LLaVA's config.json: mistral.rs leaves the embeddings out of the hidden states that `vision_feature_layer` counts, and
/// has the pooled output at their end (clip.rs:282, llava15.rs:104).
///
/// # Errors
/// If there is no such layer.
pub(crate) fn count_layers_as_llava(config: &mut Map<String, Value>) -> Result<(), LoadError> {
    let layers = Facts::new("config.json", config)
        .section("vision_config")?
        .positive("num_hidden_layers")?;
    let layers = i64::from(layers);
    let wanted = config.get("vision_feature_layer").map_or(Some(-2), Value::as_i64);
    // The hidden state after this many layers.
    let after = wanted.map(|wanted| if wanted < 0 { layers + 1 + wanted } else { wanted });
    match after {
        Some(after) if (1..=layers).contains(&after) => {
            config.insert("vision_feature_layer".to_owned(), json!(after - layers - 2));
            Ok(())
        }
        _ => Err(LoadError::file(
            "config.json",
            format!("`vision_feature_layer` is not one of the {layers} layers of the vision tower"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(architecture: &str, config: Value) -> Value {
        let Value::Object(config) = config else {
            panic!("an object")
        };
        Value::Object(translate(&config, architecture))
    }

    #[test]
    fn newer_words_are_translated() {
        let made = translated(
            "LlamaForCausalLM",
            json!({"rope_parameters": {"rope_type": "default", "rope_theta": 5.0}, "dtype": "bfloat16"}),
        );
        assert_eq!(
            (&made["rope_theta"], &made["torch_dtype"]),
            (&json!(5.0), &json!("bfloat16"))
        );
        assert!(made.get("rope_scaling").is_none());
        let gemma = json!({"text_config": {
            "rope_parameters": {
                "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
                "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
            },
            "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
        }});
        let text = &translated("Gemma3ForConditionalGeneration", gemma)["text_config"];
        assert_eq!(text["rope_scaling"], json!({"rope_type": "linear", "factor": 8.0}));
        assert_eq!(
            (&text["rope_theta"], &text["rope_local_base_freq"]),
            (&json!(1e6), &json!(1e4))
        );
        assert_eq!(text["sliding_window_pattern"], json!(3));
        let qwen = json!({"text_config": {"hidden_size": 8, "vocab_size": 3}, "vocab_size": 9});
        let made = translated("Qwen2_5_VLForConditionalGeneration", qwen);
        assert_eq!((&made["hidden_size"], &made["vocab_size"]), (&json!(8), &json!(9)));
    }

    #[test]
    fn llavas_layers_are_counted_without_the_embeddings() {
        let count = |layer: i64| {
            let config = json!({"vision_config": {"num_hidden_layers": 24}, "vision_feature_layer": layer});
            let Value::Object(mut config) = config else {
                panic!("an object")
            };
            count_layers_as_llava(&mut config).map(|()| config["vision_feature_layer"].as_i64())
        };
        // Of 24 layers' outputs and one pooled output, the last but two is that of layer 23.
        assert_eq!(count(-2).expect("there is one"), Some(-3));
        assert_eq!(count(23).expect("there is one"), Some(-3));
        assert!(count(-25).is_err() && count(25).is_err() && count(0).is_err());
    }
}
