//! `POST /v1/embeddings`.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use sensorium_engine::{Embedding, Task};

use crate::body::{Body, form_content_type};
use crate::context::Call;
use crate::error::ApiError;
use crate::headers::{add_ignored, add_truncated};
use crate::inputs::{embed_capabilities, prepare, truncates};
use crate::state::AppState;
use crate::vectors::{check_dimensions, shorten, to_base64};
use crate::wire::embeddings::{
    EmbeddingObject, EmbeddingsCall, EmbeddingsReply, EmbeddingsUsage, EncodingFormat, Vector,
};
use crate::wire::error::ErrorBody;
use crate::wire::form::Form;
use crate::wire::schema::{EmbeddingsForm, EmbeddingsRequest};

/// Embed texts and images
///
/// Turns texts and images, mixed as you like, into vectors of one space. Vectors have length 1, so their
/// dot product is their cosine. Takes what OpenAI's clients send, and the image shapes of Jina, infinity,
/// llama.cpp and vLLM.
#[utoipa::path(
    post,
    path = "/v1/embeddings",
    tag = "Embeddings",
    operation_id = "createEmbedding",
    params(
        ("x-sensorium-timeout-ms" = Option<u64>, Header, description = "Deadline of this request in milliseconds"),
        ("x-request-id" = Option<String>, Header, description = "Name of this request: at most 128 visible ASCII characters"),
    ),
    request_body(
        description = "What to embed, as JSON or as a form with files.",
        content(
            (EmbeddingsRequest = "application/json", examples(
                ("One text" = (value = json!({"model": "shapes-clip", "input": "a red circle"}))),
                ("Texts and an image" = (value = json!({
                    "model": "shapes-clip",
                    "input": ["a red circle", {"image": "data:image/png;base64,iVBORw0KGgo…"}]
                }))),
                ("Token ids (cl100k_base)" = (value = json!({"model": "shapes-clip", "input": [[64, 2579, 12960]]}))),
            )),
            (EmbeddingsForm = "multipart/form-data"),
        )
    ),
    responses(
        (status = 200, description = "One vector for each input, in order.", body = EmbeddingsReply, headers(
            ("x-sensorium-ignored" = String, description = "Fields that were not understood, if there were any"),
            ("x-sensorium-truncated" = String, description = "Indices of inputs whose text was cut, if any was"),
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
            (EmbeddingsCall::from_form(form, limits)?, reservation)
        }
        None => body.parse_json(&state, EmbeddingsCall::from_json).await?,
    };
    let call = Call::new(&request, &state, &asked.model, Task::Embed)?;
    let admission = state.engine.admit(&asked.model, call.context.clone()).await?;
    check_dimensions(asked.dimensions, embed_capabilities(&admission)?)?;
    let truncate = truncates(asked.truncate, admission.model());
    let (param, listed) = (asked.inputs.param, asked.inputs.listed);
    let ready = prepare(&state, &admission, asked.inputs, truncate).await?;
    let embeddings = admission
        .embed(ready.inputs)
        .await
        .map_err(|error| ApiError::at_input(error, param, listed))?;
    // Until now texts of the body and pixels have waited in the queue.
    drop((reservation, ready.pixels));
    Ok(reply(
        &admission.model().id,
        embeddings,
        &asked.ignored,
        asked.encoding,
        asked.dimensions,
    ))
}

fn reply(
    model: &str,
    embeddings: Vec<Embedding>,
    ignored: &[String],
    encoding: EncodingFormat,
    dimensions: Option<u32>,
) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    add_ignored(&mut response, ignored);
    let cut = embeddings
        .iter()
        .enumerate()
        .filter(|(_, embedding)| embedding.truncated);
    add_truncated(&mut response, cut.map(|(index, _)| index.to_string()));
    let tokens = embeddings.iter().map(|embedding| u64::from(embedding.tokens)).sum();
    let data = embeddings.into_iter().enumerate().map(|(index, embedding)| {
        let mut values = embedding.values;
        shorten(&mut values, dimensions);
        let embedding = match encoding {
            EncodingFormat::Float => Vector::Float(values),
            EncodingFormat::Base64 => Vector::Base64(to_base64(&values)),
        };
        EmbeddingObject {
            object: "embedding",
            index,
            embedding,
        }
    });
    let data = data.collect();
    response.json(EmbeddingsReply {
        object: "list",
        data,
        model,
        usage: EmbeddingsUsage::of(tokens),
    })
}
