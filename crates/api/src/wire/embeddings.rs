//! `POST /v1/embeddings`: the request in its many forms, and OpenAI's reply.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fields::Fields;
use super::form::Form;
use super::input::{Inputs, check_text};
use crate::config::Limits;
use crate::error::ApiError;

/// How vectors are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum EncodingFormat {
    /// A list of numbers.
    Float,
    /// Little-endian f32 in base64.
    Base64,
}

/// A parsed request.
#[derive(Debug)]
pub(crate) struct EmbeddingsCall {
    /// Id or alias.
    pub(crate) model: String,
    /// What to embed.
    pub(crate) inputs: Inputs,
    /// How to write the vectors.
    pub(crate) encoding: EncodingFormat,
    /// Wanted width; not yet checked against the model.
    pub(crate) dimensions: Option<u32>,
    /// Whether to cut long text; `None`: as the registry says.
    pub(crate) truncate: Option<bool>,
    /// Names of fields that were not understood.
    pub(crate) ignored: Vec<String>,
}

/// Known from other servers; they would change the vectors, so they are not ignored.
const REFUSED: [(&str, &str); 10] = [
    ("embedding_types", "use encoding_format"),
    ("input_type", "put the model's own prefix into the text"),
    ("task", "put the model's own prefix into the text"),
    ("prompt_name", "put the prompt into the text"),
    ("instruction", "put the instruction into the text"),
    ("late_chunking", "send each chunk as its own input"),
    ("truncate_prompt_tokens", "use truncate"),
    ("add_special_tokens", "the model's own tokenizer decides"),
    ("chat_template", "templates come from the model alone"),
    ("chat_template_kwargs", "templates come from the model alone"),
];

// === impl EmbeddingsCall ===

impl EmbeddingsCall {
    /// Parses JSON.
    ///
    /// # Errors
    /// Naming the first field that is wrong.
    pub(crate) fn from_json(body: &[u8], limits: &Limits) -> Result<Self, ApiError> {
        let mut fields = Fields::parse(body)?;
        let model = take_model(&mut fields)?;
        let inputs = match (fields.has("messages"), fields.has("input")) {
            (true, true) => return Err(ApiError::invalid("messages", "send input or messages, not both")),
            (true, false) => Inputs::take_messages(&mut fields, limits)?,
            (false, _) => Inputs::take(&mut fields, limits)?,
        };
        Self::finish(fields, model, inputs)
    }

    /// Takes the parts of a form.
    ///
    /// # Errors
    /// Naming the first field that is wrong.
    pub(crate) fn from_form(form: Form, limits: &Limits) -> Result<Self, ApiError> {
        let mut fields = Fields::new(form.fields);
        let model = take_model(&mut fields)?;
        let inputs = Inputs::from_form(form.items, limits)?;
        Self::finish(fields, model, inputs)
    }

    fn finish(mut fields: Fields, model: String, inputs: Inputs) -> Result<Self, ApiError> {
        let encoding = match fields.optional::<String>("encoding_format")?.as_deref() {
            None | Some("float") => EncodingFormat::Float,
            Some("base64") => EncodingFormat::Base64,
            Some(_) => {
                return Err(ApiError::invalid(
                    "encoding_format",
                    "encoding_format must be 'float' or 'base64'",
                ));
            }
        };
        let dimensions = fields.optional::<u32>("dimensions")?;
        if dimensions == Some(0) {
            return Err(ApiError::invalid("dimensions", "dimensions must be at least 1"));
        }
        let truncate = fields.optional("truncate")?;
        refuse_unnormalised(&mut fields)?;
        fields.refuse(&REFUSED)?;
        Ok(Self {
            model,
            inputs,
            encoding,
            dimensions,
            truncate,
            ignored: fields.finish(),
        })
    }
}

/// Takes `model` from the fields.
///
/// # Errors
/// If it is missing or empty.
pub(crate) fn take_model(fields: &mut Fields) -> Result<String, ApiError> {
    let model: String = fields.required("model")?;
    check_text(
        "model",
        &model,
        &Limits {
            text_bytes: 256,
            ..Limits::default()
        },
    )?;
    Ok(model)
}

/// Vectors are always normalised: saying so is fine, asking for anything else is not.
fn refuse_unnormalised(fields: &mut Fields) -> Result<(), ApiError> {
    for name in ["normalized", "normalize"] {
        if fields.optional::<bool>(name)? == Some(false) {
            return Err(ApiError::unsupported(
                name,
                format!("{name}: false is not supported: vectors have length 1"),
            ));
        }
    }
    Ok(())
}

/// OpenAI's reply.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EmbeddingsReply<'a> {
    /// Always `list`.
    #[schema(example = "list")]
    pub(crate) object: &'static str,
    /// One for each input, in order.
    pub(crate) data: Vec<EmbeddingObject>,
    /// Id of the model that did it.
    #[schema(example = "shapes-clip")]
    pub(crate) model: &'a str,
    /// What it took.
    pub(crate) usage: EmbeddingsUsage,
}

/// One vector.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EmbeddingObject {
    /// Always `embedding`.
    #[schema(example = "embedding")]
    pub(crate) object: &'static str,
    /// Which input it belongs to, from 0.
    pub(crate) index: usize,
    /// The vector, of length 1.
    pub(crate) embedding: Vector,
}

/// A vector as asked for with `encoding_format`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Vector {
    /// A list of numbers.
    Float(Vec<f32>),
    /// Little-endian f32 in base64.
    Base64(String),
}

/// What a request took.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(crate) struct EmbeddingsUsage {
    /// Tokens read, special tokens included; image tokens as the model counts them.
    pub(crate) prompt_tokens: u64,
    /// The same: nothing is generated.
    pub(crate) total_tokens: u64,
}

// === impl EmbeddingsUsage ===

impl EmbeddingsUsage {
    /// Usage of a request that generates nothing.
    pub(crate) fn of(tokens: u64) -> Self {
        Self {
            prompt_tokens: tokens,
            total_tokens: tokens,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(body: Value) -> Result<EmbeddingsCall, (String, String)> {
        EmbeddingsCall::from_json(body.to_string().as_bytes(), &Limits::default()).map_err(|error| match error {
            ApiError::Invalid { param, message } | ApiError::Unsupported { param, message } => {
                (param.into_owned(), message)
            }
            ApiError::Missing { param } => (param.into_owned(), "missing".into()),
            other => (String::new(), other.to_string()),
        })
    }

    #[test]
    fn openai_python_and_langchain() {
        let call = parse(json!({"model": "m", "input": ["a"], "encoding_format": "base64"})).unwrap();
        assert_eq!(
            (call.encoding, call.dimensions, call.truncate),
            (EncodingFormat::Base64, None, None)
        );
        assert!(call.ignored.is_empty());
        let call = parse(json!({"model": "m", "input": [[9906]], "user": "u", "normalized": true})).unwrap();
        assert_eq!(call.ignored, ["user"]);
    }

    #[test]
    fn refusals_name_the_field() {
        for (body, param) in [
            (json!({"input": "a"}), "model"),
            (json!({"model": "", "input": "a"}), "model"),
            (json!({"model": 3, "input": "a"}), "model"),
            (json!({"model": "m"}), "input"),
            (
                json!({"model": "m", "input": "a", "messages": [{"content": "a"}]}),
                "messages",
            ),
            (
                json!({"model": "m", "input": "a", "encoding_format": "int8"}),
                "encoding_format",
            ),
            (json!({"model": "m", "input": "a", "dimensions": 0}), "dimensions"),
            (json!({"model": "m", "input": "a", "dimensions": -1}), "dimensions"),
            (json!({"model": "m", "input": "a", "dimensions": 1.5}), "dimensions"),
            (json!({"model": "m", "input": "a", "dimensions": 1e99}), "dimensions"),
            (json!({"model": "m", "input": "a", "truncate": "END"}), "truncate"),
            (json!({"model": "m", "input": "a", "normalized": false}), "normalized"),
            (json!({"model": "m", "input": "a", "task": "retrieval.query"}), "task"),
        ] {
            assert_eq!(
                parse(body.clone()).map(|_| ()).map_err(|(param, _)| param),
                Err(param.to_owned()),
                "{body}"
            );
        }
    }
}
