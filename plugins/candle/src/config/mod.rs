//! `config.json`: raw as written, with the defaults of transformers' configuration classes, and validated.

mod bert;
mod clip;
mod siglip;
mod tower;

pub(crate) use bert::{BertConfig, BertLayout};
pub(crate) use clip::{ClipConfig, ClipTextConfig, EndOfText};
pub(crate) use siglip::SiglipConfig;
pub(crate) use tower::{TextTower, VisionTower};

use serde::Deserialize;
use serde_json::Value;

use crate::{checkpoint::ModelDir, error::LoadError, options::MatryoshkaOption};

/// The file that says what a model is.
const FILE: &str = "config.json";

/// Architectures that can be loaded, as `config.json` calls them.
pub(crate) const ARCHITECTURES: [&str; 9] = [
    "CLIPModel",
    "CLIPTextModelWithProjection",
    "CLIPVisionModelWithProjection",
    "SiglipModel",
    "BertModel",
    "RobertaModel",
    "XLMRobertaModel",
    "CamembertModel",
    "DistilBertModel",
];

/// A model's validated configuration.
#[derive(Debug, Clone)]
pub(crate) enum ModelConfig {
    /// `CLIPModel` or one of its towers.
    Clip(ClipConfig),
    /// `SiglipModel`.
    Siglip(SiglipConfig),
    /// BERT and its relatives.
    Bert(BertConfig),
}

/// What embedding models of every architecture may say.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawCommon {
    model_type: String,
    architectures: Vec<String>,
    is_matryoshka: bool,
    matryoshka_dimensions: Option<Vec<u32>>,
}

// === impl ModelConfig ===

impl ModelConfig {
    /// Reads `config.json`; also says which shorter vectors the model was trained for.
    ///
    /// # Errors
    /// If it is missing, isn't of an architecture that can be loaded, or its numbers make no sense.
    pub(crate) fn load(dir: &ModelDir) -> Result<(Self, Option<MatryoshkaOption>), LoadError> {
        let value: Value = dir.require_json(FILE)?;
        let fail = |problem: String| LoadError::file(dir.label(FILE), problem);
        let common: RawCommon = parse(&value).map_err(fail)?;
        let config = Self::from_value(&common, &value).map_err(fail)?;
        let matryoshka = match (common.matryoshka_dimensions, common.is_matryoshka) {
            (Some(dimensions), _) => Some(MatryoshkaOption::Dimensions(dimensions)),
            (None, true) => Some(MatryoshkaOption::Any(true)),
            (None, false) => None,
        };
        Ok((config, matryoshka))
    }

    fn from_value(common: &RawCommon, value: &Value) -> Result<Self, String> {
        match common.model_type.as_str() {
            "clip" => ClipConfig::both(value).map(Self::Clip),
            "clip_text_model" => ClipConfig::text_only(value).map(Self::Clip),
            "clip_vision_model" => ClipConfig::vision_only(value).map(Self::Clip),
            "siglip" => SiglipConfig::parse(value).map(Self::Siglip),
            "bert" => BertConfig::parse(value, BertLayout::Bert).map(Self::Bert),
            "roberta" | "xlm-roberta" | "camembert" => BertConfig::parse(value, BertLayout::Roberta).map(Self::Bert),
            "distilbert" => BertConfig::parse_distilbert(value).map(Self::Bert),
            "siglip2" => Err(
                "model_type `siglip2` reads images of any size, which isn't supported; use a SigLIP 2 \
                              checkpoint of a fixed resolution (siglip2-base-patch16-224)"
                    .to_owned(),
            ),
            "mpnet" => Err(
                "model_type `mpnet` has relative position biases, which aren't supported; use a BERT or \
                            RoBERTa model"
                    .to_owned(),
            ),
            other => Err(format!(
                "model_type `{other}` (architectures {:?}) isn't supported; this plugin loads {}",
                common.architectures,
                ARCHITECTURES.join(", ")
            )),
        }
    }
}

/// `value` as `T`, or why not.
fn parse<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, String> {
    T::deserialize(value).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(json: &str) -> Result<ModelConfig, String> {
        let value: Value = serde_json::from_str(json).expect("valid JSON");
        ModelConfig::from_value(&parse(&value).expect("common members"), &value)
    }

    #[test]
    fn what_is_not_supported_is_said() {
        for (json, part) in [
            (r#"{"model_type": "llama"}"#, "model_type `llama`"),
            ("{}", "this plugin loads CLIPModel"),
            (r#"{"model_type": "siglip2"}"#, "fixed resolution"),
            (r#"{"model_type": "mpnet"}"#, "relative position"),
            (r#"{"model_type": "bert", "hidden_size": 0}"#, "hidden_size is 0"),
            (
                r#"{"model_type": "bert", "num_attention_heads": 7}"#,
                "num_attention_heads",
            ),
            (r#"{"model_type": "bert", "hidden_act": "mish"}"#, "mish"),
            (
                r#"{"model_type": "bert", "position_embedding_type": "relative_key"}"#,
                "relative_key",
            ),
            (
                r#"{"model_type": "bert", "num_hidden_layers": 100000}"#,
                "num_hidden_layers",
            ),
            (
                r#"{"model_type": "clip", "vision_config": {"patch_size": 300}}"#,
                "patch_size",
            ),
            (
                r#"{"model_type": "clip", "vision_config": {"num_channels": 1}}"#,
                "num_channels",
            ),
            (
                r#"{"model_type": "siglip", "vision_config": {"vision_use_head": false}}"#,
                "vision_use_head",
            ),
        ] {
            let message = load(json).expect_err(json);
            assert!(message.contains(part), "{json}: {message}");
        }
    }

    #[test]
    fn absent_members_mean_what_transformers_means() {
        let Ok(ModelConfig::Clip(clip)) = load(r#"{"model_type": "clip"}"#) else {
            panic!("CLIP's defaults load")
        };
        let (text, vision) = (clip.text.expect("text tower"), clip.vision.expect("vision tower"));
        assert_eq!(
            (
                text.tower.encoder.hidden,
                text.tower.positions,
                vision.patch,
                clip.width
            ),
            (512, 77, 32, 512)
        );
        assert_eq!(text.end, EndOfText::First(49407));
        let legacy = r#"{"model_type": "clip", "projection_dim": 64, "text_config": {"hidden_size": 8},
                         "text_config_dict": {"hidden_size": 256, "eos_token_id": 2}}"#;
        let Ok(ModelConfig::Clip(clip)) = load(legacy) else {
            panic!("a legacy config loads")
        };
        let text = clip.text.expect("text tower");
        assert_eq!(
            (text.tower.encoder.hidden, text.end, clip.width),
            (256, EndOfText::HighestId, 64)
        );
    }
}
