//! `POST /v1/classify`.

use std::borrow::Cow;

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use sensorium_engine::{EmbedInput, EmbedPayload, Embedding, Error as EngineError, Scoring, Task};

use crate::body::{Body, form_content_type};
use crate::context::Call;
use crate::error::ApiError;
use crate::headers::{add_ignored, add_truncated};
use crate::inputs::{Prepared, embed_capabilities, prepare, truncates};
use crate::state::AppState;
use crate::vectors::{mean, score};
use crate::wire::classify::{Classification, ClassifyCall, ClassifyReply, Prediction, Question, Template};
use crate::wire::embeddings::EmbeddingsUsage;
use crate::wire::error::ErrorBody;
use crate::wire::form::Form;
use crate::wire::schema::{ClassifyForm, ClassifyRequest};

/// Classify images and texts
///
/// Scores each input against labels of your own, with no training, by the model's own rule: softmax over the
/// labels (CLIP) or a sigmoid of each label alone (SigLIP). A prompt template puts the labels into the words
/// that the model knows best.
#[utoipa::path(
    post,
    path = "/v1/classify",
    tag = "Classification",
    operation_id = "createClassification",
    params(
        ("x-sensorium-timeout-ms" = Option<u64>, Header, description = "Deadline of this request in milliseconds"),
        ("x-request-id" = Option<String>, Header, description = "Name of this request: at most 128 visible ASCII characters"),
    ),
    request_body(
        description = "What to classify and into what, as JSON or as a form with files.",
        content(
            (ClassifyRequest = "application/json"),
            (ClassifyForm = "multipart/form-data"),
        )
    ),
    responses(
        (status = 200, description = "The labels of each input, highest score first.", body = ClassifyReply, headers(
            ("x-sensorium-ignored" = String, description = "Fields that were not understood, if there were any"),
            ("x-sensorium-truncated" = String, description = "Indices of inputs whose text was cut, and labels[i] where a label's prompt was, if any was"),
        )),
        (status = 400, description = "A parameter, an image or a text is wrong; `param` says which.", body = ErrorBody),
        (status = 404, description = "There is no such model.", body = ErrorBody),
        (status = 408, description = "The body came too slowly.", body = ErrorBody),
        (status = 413, description = "The body is too large.", body = ErrorBody),
        (status = 415, description = "The body is compressed.", body = ErrorBody),
        (status = 429, description = "The queue is full; `retry-after` says when to come back.", body = ErrorBody),
        (status = 500, description = "The model failed on this request, or the server did.", body = ErrorBody),
        (status = 503, description = "The model is not available, or the server is stopping.", body = ErrorBody),
        (status = 504, description = "The deadline has passed.", body = ErrorBody),
    )
)]
pub(crate) async fn create(
    request: HttpRequest,
    mut payload: Payload,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let limits = &state.config.limits;
    let body = Body::read(&request, &mut payload, &state.config, &state.bodies).await?;
    let (asked, reservation) = match form_content_type(&request) {
        Some(form) => {
            let (bytes, reservation) = body.into_parts();
            let form = Form::parse(form, bytes, limits.inputs).await?;
            (ClassifyCall::from_form(form, limits)?, reservation)
        }
        None => body.parse_json(&state, ClassifyCall::from_json).await?,
    };
    let ClassifyCall {
        model,
        inputs,
        question,
    } = asked;
    let call = Call::new(&request, &state, &model, Task::Embed)?;
    let admission = state.engine.admit(&model, call.context.clone()).await?;
    let id = &admission.model().id;
    let Some(scoring) = embed_capabilities(&admission)?.scoring else {
        let message = "this model has no scoring rule: classify with one that was trained to match images with text";
        return Err(ApiError::invalid("model", message));
    };
    let truncate = truncates(question.truncate, admission.model());
    let (param, listed, count) = (inputs.param, inputs.listed, inputs.items.len());
    let Prepared { mut inputs, pixels } = prepare(&state, &admission, inputs, truncate).await?;
    inputs.extend(prompts(&question, truncate));
    let sent = inputs.len();
    let embeddings = admission.embed(inputs).await.map_err(|error| match error {
        EngineError::Item { index, .. } if index >= count => {
            let param = format!("labels[{}]", (index - count) / question.templates.len());
            ApiError::Engine {
                param: Some(Cow::Owned(param)),
                source: error,
            }
        }
        other => ApiError::at_input(other, param, listed),
    })?;
    // Until now texts of the body and pixels have waited in the queue.
    drop((reservation, pixels));
    if embeddings.len() != sent {
        return Err(ApiError::Internal("the engine lost a vector"));
    }
    let (inputs, prompts) = embeddings.split_at(count);
    Ok(reply(id, &question, inputs, prompts, scoring))
}

/// The prompts of all labels: each label's in a row.
fn prompts(question: &Question, truncate: bool) -> impl Iterator<Item = EmbedInput> {
    question.labels.iter().flat_map(move |label| {
        let fill = move |template: &Template| EmbedPayload::Text(template.fill(label));
        question.templates.iter().map(move |template| EmbedInput {
            payload: fill(template),
            truncate,
        })
    })
}

fn reply(
    model: &str,
    question: &Question,
    inputs: &[Embedding],
    prompts: &[Embedding],
    scoring: Scoring,
) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    add_ignored(&mut response, &question.ignored);
    let cut = inputs.iter().enumerate().filter(|(_, embedding)| embedding.truncated);
    let cut_labels = prompts
        .chunks(question.templates.len())
        .enumerate()
        .filter(|(_, prompts)| prompts.iter().any(|prompt| prompt.truncated));
    let cut = cut.map(|(index, _)| index.to_string());
    add_truncated(
        &mut response,
        cut.chain(cut_labels.map(|(index, _)| format!("labels[{index}]"))),
    );
    let tokens = inputs
        .iter()
        .chain(prompts)
        .map(|embedding| u64::from(embedding.tokens))
        .sum();
    let labels: Vec<Vec<f32>> = prompts
        .chunks(question.templates.len())
        .map(|prompts| mean(prompts.iter().map(|prompt| prompt.values.as_slice())))
        .collect();
    let data = inputs.iter().enumerate().map(|(index, input)| {
        let scores = score(&input.values, &labels, scoring);
        let pairs = question.labels.iter().zip(scores);
        let mut predictions: Vec<_> = pairs.map(|(label, score)| Prediction { label, score }).collect();
        predictions.sort_by(|a, b| b.score.total_cmp(&a.score));
        let (prediction, score) = predictions.first().map_or(("", 0.0), |best| (best.label, best.score));
        Classification {
            object: "classification",
            index,
            prediction,
            score,
            predictions,
        }
    });
    let data = data.collect();
    response.json(ClassifyReply {
        object: "list",
        model,
        data,
        usage: EmbeddingsUsage::of(tokens),
    })
}
