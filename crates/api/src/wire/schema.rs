//! Requests as the OpenAPI document shows them. Nothing is parsed into these types: the
//! parsers take fields one by one to name the wrong one, and a test holds both together.
#![allow(dead_code, reason = "these types are read by utoipa's derive alone")]

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::embeddings::EncodingFormat;

/// What to embed, and how.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"model": "shapes-clip", "input": ["a red circle above a blue square"]}))]
pub(crate) struct EmbeddingsRequest {
    /// Id or alias of a model.
    #[schema(example = "shapes-clip")]
    pub(crate) model: String,
    /// One input or a list of them, texts and images mixed: a text; a `data:image/…` URI; token ids or a list of lists of
    /// them; `{"text": …}`; `{"image": URL | data URI | base64}`; `{"content": [part]}` with one part;
    /// or a part `{"type": "text" | "image_url", …}`. Required unless `messages` is given.
    #[schema(value_type = Option<EmbeddingInput>)]
    pub(crate) input: Option<Value>,
    /// In place of `input`: one message with one content part, which becomes one vector.
    #[schema(value_type = Option<Vec<Object>>)]
    pub(crate) messages: Option<Value>,
    /// What the strings of `input` are. By default texts, but for `data:image/…` URIs.
    #[schema(example = "text")]
    pub(crate) modality: Option<ModalityName>,
    /// `base64` is little-endian f32, and far cheaper than `float`.
    pub(crate) encoding_format: Option<EncodingFormat>,
    /// Shorter vectors: cut and normalised again. Only models trained for it take any but their own width.
    #[schema(minimum = 1)]
    pub(crate) dimensions: Option<u32>,
    /// Text longer than the model's context: cut it (true) or refuse it (false). By default the registry's setting.
    pub(crate) truncate: Option<bool>,
}

/// One input or a list of them.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum EmbeddingInput {
    /// A text, or the data: URI of an image.
    Text(String),
    /// Texts, data: URIs, objects and lists of token ids, mixed.
    #[schema(value_type = Vec<EmbeddingInputItem>)]
    List(Vec<Value>),
    /// Token ids of one text.
    Tokens(Vec<u32>),
    /// One object.
    #[schema(value_type = EmbeddingInputObject)]
    Object(Value),
}

/// One input of a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum EmbeddingInputItem {
    /// A text, or the data: URI of an image.
    Text(String),
    /// Token ids of one text.
    Tokens(Vec<u32>),
    /// A text or an image as an object.
    Object(EmbeddingInputObject),
}

/// A text or an image as an object: exactly one of `text`, `image` and `content`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EmbeddingInputObject {
    /// A text.
    pub(crate) text: Option<String>,
    /// An image: URL, data: URI or base64.
    pub(crate) image: Option<String>,
    /// One content part, as in a chat message.
    #[schema(value_type = Option<Vec<Object>>)]
    pub(crate) content: Option<Value>,
}

/// A form with the same fields; `text` and `image` may repeat and mix.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EmbeddingsForm {
    /// Id or alias of a model.
    pub(crate) model: String,
    /// A text; also called `input`.
    pub(crate) text: Option<Vec<String>>,
    /// An image file, or a text with its URL; also called `file`.
    #[schema(value_type = Option<Vec<String>>, format = Binary)]
    pub(crate) image: Option<Vec<String>>,
    /// As in the JSON request.
    pub(crate) encoding_format: Option<EncodingFormat>,
    /// As in the JSON request.
    pub(crate) dimensions: Option<u32>,
    /// As in the JSON request.
    pub(crate) truncate: Option<bool>,
}

/// What the strings of `input` are.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ModalityName {
    /// Texts.
    Text,
    /// Images.
    Image,
}

/// What to classify, and into what.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "model": "shapes-clip",
    "input": [{"image": "https://example.com/shape.png"}],
    "labels": ["circle", "square"],
    "prompt_template": "a picture of a {label}"
}))]
pub(crate) struct ClassifyRequest {
    /// Id or alias of a model that has a scoring rule.
    #[schema(example = "shapes-clip")]
    pub(crate) model: String,
    /// Images and texts, in every form that `/v1/embeddings` takes.
    #[schema(value_type = EmbeddingInput)]
    pub(crate) input: Value,
    /// The classes, each once.
    #[schema(min_items = 1, max_items = 1000)]
    pub(crate) labels: Vec<String>,
    /// Made into a prompt with each label in place of `{label}` or `{}`; by default the label itself.
    #[schema(example = "a picture of a {label}")]
    pub(crate) prompt_template: Option<String>,
    /// Several templates: a label's vector is the normalised mean over them, as in CLIP's zero-shot ensembles.
    #[schema(max_items = 16)]
    pub(crate) templates: Option<Vec<String>>,
    /// What the strings of `input` are: `text` or `image`.
    pub(crate) modality: Option<String>,
    /// Text longer than the model's context: cut it (true) or refuse it (false).
    pub(crate) truncate: Option<bool>,
}

/// A form with the same fields; `text`, `image` and `labels` may repeat.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClassifyForm {
    /// Id or alias of a model.
    pub(crate) model: String,
    /// A text; also called `input`.
    pub(crate) text: Option<Vec<String>>,
    /// An image file, or a text with its URL; also called `file`.
    #[schema(value_type = Option<Vec<String>>, format = Binary)]
    pub(crate) image: Option<Vec<String>>,
    /// A class.
    pub(crate) labels: Vec<String>,
    /// As in the JSON request.
    pub(crate) prompt_template: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use utoipa::PartialSchema;

    use super::*;
    use crate::config::Limits;
    use crate::wire::classify::ClassifyCall;
    use crate::wire::embeddings::EmbeddingsCall;

    fn properties<T: PartialSchema>() -> Vec<String> {
        let schema = serde_json::to_value(T::schema()).unwrap();
        schema["properties"].as_object().unwrap().keys().cloned().collect()
    }

    /// A value that each documented field may have.
    fn value(name: &str) -> Value {
        match name {
            "model" | "input" => json!("x"),
            "labels" => json!(["a"]),
            "messages" => json!([{"content": "x"}]),
            "modality" => json!("text"),
            "encoding_format" => json!("base64"),
            "dimensions" => json!(8),
            "truncate" => json!(true),
            "prompt_template" => json!("a {label}"),
            "templates" => json!(["a {label}"]),
            other => panic!("say here what {other} may be"),
        }
    }

    #[test]
    fn what_is_documented_is_understood() {
        for name in properties::<EmbeddingsRequest>() {
            let mut body = json!({"model": "m", &name: value(&name)});
            if name != "messages" {
                body["input"] = value("input");
            }
            let call = EmbeddingsCall::from_json(body.to_string().as_bytes(), &Limits::default()).unwrap();
            assert!(call.ignored.is_empty(), "{name}");
        }
        for name in properties::<ClassifyRequest>() {
            let body = json!({"model": "m", "input": "x", "labels": ["a"], &name: value(&name)});
            let call = ClassifyCall::from_json(body.to_string().as_bytes(), &Limits::default()).unwrap();
            assert!(call.question.ignored.is_empty(), "{name}");
        }
    }
}
