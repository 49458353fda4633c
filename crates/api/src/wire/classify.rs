//! `POST /v1/classify`: Jina's shape, with labels of the caller's own.

use std::collections::HashSet;

use serde::Serialize;
use utoipa::ToSchema;

use super::embeddings::{EmbeddingsUsage, take_model};
use super::fields::Fields;
use super::form::Form;
use super::input::{Inputs, check_text};
use crate::config::Limits;
use crate::error::ApiError;

/// A parsed request.
#[derive(Debug)]
pub(crate) struct ClassifyCall {
    /// Id or alias.
    pub(crate) model: String,
    /// What to classify.
    pub(crate) inputs: Inputs,
    /// Into what, and how.
    pub(crate) question: Question,
}

/// What a classification asks of each of its inputs.
#[derive(Debug)]
pub(crate) struct Question {
    /// The classes: at least one, no repeats.
    pub(crate) labels: Vec<String>,
    /// At least one; each holds a place for the label.
    pub(crate) templates: Vec<Template>,
    /// Whether to cut long text; `None`: as the registry says.
    pub(crate) truncate: Option<bool>,
    /// Names of fields that were not understood.
    pub(crate) ignored: Vec<String>,
}

/// A sentence with one or more places for a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(String);

// === impl Template ===

impl Template {
    /// A template with `{label}` or `{}` in it.
    ///
    /// # Errors
    /// If it has neither.
    pub(crate) fn parse(param: &'static str, text: String) -> Result<Self, ApiError> {
        if !text.contains("{label}") && !text.contains("{}") {
            return Err(ApiError::invalid(
                param,
                format!("{param} must hold {{label}} or {{}} where the label goes"),
            ));
        }
        if text.len() > 1024 {
            return Err(ApiError::invalid(param, format!("{param} is longer than 1024 bytes")));
        }
        Ok(Self(text))
    }

    /// The prompt of one label. A label's own braces are left alone.
    pub(crate) fn fill(&self, label: &str) -> String {
        let pieces: Vec<String> = self
            .0
            .split("{label}")
            .map(|piece| piece.replace("{}", label))
            .collect();
        pieces.join(label)
    }
}

// === impl ClassifyCall ===

impl ClassifyCall {
    /// Parses JSON.
    ///
    /// # Errors
    /// Naming the first field that is wrong.
    pub(crate) fn from_json(body: &[u8], limits: &Limits) -> Result<Self, ApiError> {
        let mut fields = Fields::parse(body)?;
        let model = take_model(&mut fields)?;
        let inputs = Inputs::take(&mut fields, limits)?;
        Self::finish(fields, model, inputs, limits)
    }

    /// Takes the parts of a form.
    ///
    /// # Errors
    /// Naming the first field that is wrong.
    pub(crate) fn from_form(form: Form, limits: &Limits) -> Result<Self, ApiError> {
        let mut fields = Fields::new(form.fields);
        let model = take_model(&mut fields)?;
        let inputs = Inputs::from_form(form.items, limits)?;
        Self::finish(fields, model, inputs, limits)
    }

    fn finish(mut fields: Fields, model: String, inputs: Inputs, limits: &Limits) -> Result<Self, ApiError> {
        fields.refuse(&[("classifier_id", "send labels: classifiers are not trained here")])?;
        let labels = take_labels(&mut fields, limits)?;
        let templates = take_templates(&mut fields, limits)?;
        if labels.len() * templates.len() > limits.prompts {
            let message = format!(
                "{} labels times {} templates are more than {} prompts",
                labels.len(),
                templates.len(),
                limits.prompts
            );
            return Err(ApiError::invalid("templates", message));
        }
        let truncate = fields.optional("truncate")?;
        let question = Question {
            labels,
            templates,
            truncate,
            ignored: fields.finish(),
        };
        Ok(Self {
            model,
            inputs,
            question,
        })
    }
}

fn take_labels(fields: &mut Fields, limits: &Limits) -> Result<Vec<String>, ApiError> {
    let labels: Vec<String> = fields.required("labels")?;
    if labels.is_empty() {
        return Err(ApiError::invalid("labels", "labels is empty: name at least one class"));
    }
    if labels.len() > limits.labels {
        let message = format!("labels has {} entries; at most {}", labels.len(), limits.labels);
        return Err(ApiError::invalid("labels", message));
    }
    let mut seen = HashSet::new();
    for (index, label) in labels.iter().enumerate() {
        let at = format!("labels[{index}]");
        check_text(
            &at,
            label,
            &Limits {
                text_bytes: 1024,
                ..*limits
            },
        )?;
        if !seen.insert(label) {
            return Err(ApiError::invalid(
                at,
                format!("labels[{index}] repeats a label: each class once"),
            ));
        }
    }
    Ok(labels)
}

fn take_templates(fields: &mut Fields, limits: &Limits) -> Result<Vec<Template>, ApiError> {
    let one: Option<String> = fields.optional("prompt_template")?;
    let many: Option<Vec<String>> = fields.optional("templates")?;
    match (one, many) {
        (Some(_), Some(_)) => Err(ApiError::invalid(
            "templates",
            "send prompt_template or templates, not both",
        )),
        (None, None) => Ok(vec![Template("{label}".to_owned())]),
        (Some(text), None) => Ok(vec![Template::parse("prompt_template", text)?]),
        (None, Some(texts)) if texts.is_empty() => Err(ApiError::invalid(
            "templates",
            "templates is empty: send at least one, or leave it out",
        )),
        (None, Some(texts)) if texts.len() > limits.templates => {
            let message = format!("templates has {} entries; at most {}", texts.len(), limits.templates);
            Err(ApiError::invalid("templates", message))
        }
        (None, Some(texts)) => texts
            .into_iter()
            .map(|text| Template::parse("templates", text))
            .collect(),
    }
}

/// Jina's reply.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClassifyReply<'a> {
    /// Always `list`.
    #[schema(example = "list")]
    pub(crate) object: &'static str,
    /// Id of the model that did it.
    #[schema(example = "shapes-clip")]
    pub(crate) model: &'a str,
    /// One for each input, in order.
    pub(crate) data: Vec<Classification<'a>>,
    /// What it took, prompts of labels included.
    pub(crate) usage: EmbeddingsUsage,
}

/// The classes of one input.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Classification<'a> {
    /// Always `classification`.
    #[schema(example = "classification")]
    pub(crate) object: &'static str,
    /// Which input it belongs to, from 0.
    pub(crate) index: usize,
    /// The label with the highest score.
    #[schema(example = "circle")]
    pub(crate) prediction: &'a str,
    /// Its score.
    #[schema(example = 0.98)]
    pub(crate) score: f32,
    /// All labels, highest score first.
    pub(crate) predictions: Vec<Prediction<'a>>,
}

/// One label and its score.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Prediction<'a> {
    /// The label as it was sent.
    #[schema(example = "circle")]
    pub(crate) label: &'a str,
    /// From 0 to 1. Softmax models: the scores of an input add up to 1. Sigmoid models: each stands alone.
    #[schema(example = 0.98)]
    pub(crate) score: f32,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn templates_are_filled() {
        for (template, expected) in [
            ("a photo of a {label}", "a photo of a {} cat"),
            ("{} or {}", "{} cat or {} cat"),
            ("{label}, {}", "{} cat, {} cat"),
        ] {
            let template = Template::parse("prompt_template", template.to_owned()).unwrap();
            assert_eq!(template.fill("{} cat"), expected);
        }
    }

    #[test]
    fn refusals_name_the_field() {
        for (extra, param) in [
            (json!({}), "labels"),
            (json!({"labels": []}), "labels"),
            (json!({"labels": "a"}), "labels"),
            (json!({"labels": ["a", "a"]}), "labels[1]"),
            (json!({"labels": [""]}), "labels[0]"),
            (
                json!({"labels": ["a"], "prompt_template": "no place"}),
                "prompt_template",
            ),
            (json!({"labels": ["a"], "templates": []}), "templates"),
            (
                json!({"labels": ["a"], "templates": ["{}"], "prompt_template": "{}"}),
                "templates",
            ),
            (json!({"labels": vec!["{}"; 1001]}), "labels"),
            (json!({"labels": ["a"], "templates": vec!["{}"; 17]}), "templates"),
            (
                json!({"labels": (0..600).map(|i| i.to_string()).collect::<Vec<_>>(), "templates": vec!["{}"; 16]}),
                "templates",
            ),
            (json!({"labels": ["a"], "classifier_id": "x"}), "classifier_id"),
        ] {
            let mut body = json!({"model": "m", "input": "x"});
            body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            let error = ClassifyCall::from_json(body.to_string().as_bytes(), &Limits::default()).unwrap_err();
            let found = match error {
                ApiError::Invalid { param, .. } | ApiError::Missing { param } | ApiError::Unsupported { param, .. } => {
                    param
                }
                other => panic!("{other}"),
            };
            assert_eq!(found, param, "{extra}");
        }
    }
}
