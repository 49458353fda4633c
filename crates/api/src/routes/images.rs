//! `POST /v1/images/generations`, `/v1/images/edits`, `/v1/images/variations`, and the files that links lead to.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, HeaderValue};
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use sensorium_engine::Task;

use crate::body::{Body, form_content_type};
use crate::config::Limits;
use crate::context::Call;
use crate::error::ApiError;
use crate::files::FileStore;
use crate::headers::{add_ignored, add_truncated};
use crate::pictures::begin::{Begun, Order};
use crate::pictures::rank::Ranked;
use crate::pictures::sheet::now;
use crate::pictures::stream::Pictures;
use crate::sse;
use crate::state::AppState;
use crate::wire::error::ErrorBody;
use crate::wire::images::event::{ImageEventObject, Names};
use crate::wire::images::form::parse_form;
use crate::wire::images::reply::{ImagesReply, ImagesUsage};
use crate::wire::images::request::{ImagesCall, Occasion};
use crate::wire::images::schema::{
    ImageEditForm, ImageEditRequest, ImageGenerationRequest, ImageVariationForm, ImageVariationRequest,
};

/// Make images from words
///
/// Whole, or, with `stream: true`, as they are made: server-sent events, with previews of each image if
/// `partial_images` asks for them, and each denoise step as a comment (`: step 7/20`). What goes wrong before the first
/// event is an ordinary error; what goes wrong later is an event with an `error`. The seed and everything else that an
/// image was made with come back with it, and stand in a PNG's text chunk `parameters`.
#[utoipa::path(
    post,
    path = "/v1/images/generations",
    tag = "Images",
    operation_id = "createImage",
    params(
        ("x-sensorium-timeout-ms" = Option<u64>, Header, description = "Deadline of this request in milliseconds"),
        ("x-request-id" = Option<String>, Header, description = "Name of this request: at most 128 visible ASCII characters"),
    ),
    request_body(
        description = "What is to be seen, and how it is made.",
        content((ImageGenerationRequest = "application/json"))
    ),
    responses(
        (status = 200, description = "The images; with `stream: true` an event for each preview and each image.", content(
            (ImagesReply = "application/json"),
            (ImageEventObject = "text/event-stream"),
        ), headers(
            ("x-sensorium-ignored" = String, description = "Fields that were not understood or are mere hints, if there were any"),
            ("x-sensorium-truncated" = String, description = "`prompt` if a prompt was cut to the model's context"),
        )),
        (status = 400, description = "A parameter is wrong, or the model can't do what is asked; `param` says which.", body = ErrorBody),
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
pub(crate) async fn generate(
    request: HttpRequest,
    payload: Payload,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    respond(request, payload, state, Occasion::Generation, ImagesCall::generation).await
}

/// Paint over an image
///
/// Makes images from an image and words. Where a mask is given, or the image is itself transparent, only that part is
/// painted anew; else all of it, by `strength`. The mask's transparent parts are painted anew, as OpenAI has it; of a
/// mask without transparency the white ones. Replies and events are those of a generation, under `image_edit`.
#[utoipa::path(
    post,
    path = "/v1/images/edits",
    tag = "Images",
    operation_id = "createImageEdit",
    params(
        ("x-sensorium-timeout-ms" = Option<u64>, Header, description = "Deadline of this request in milliseconds"),
        ("x-request-id" = Option<String>, Header, description = "Name of this request: at most 128 visible ASCII characters"),
    ),
    request_body(
        description = "The image and what is to become of it, as JSON or as a form with files.",
        content(
            (ImageEditRequest = "application/json"),
            (ImageEditForm = "multipart/form-data"),
        )
    ),
    responses(
        (status = 200, description = "The images; with `stream: true` an event for each preview and each image.", content(
            (ImagesReply = "application/json"),
            (ImageEventObject = "text/event-stream"),
        ), headers(
            ("x-sensorium-ignored" = String, description = "Fields that were not understood or are mere hints, if there were any"),
            ("x-sensorium-truncated" = String, description = "`prompt` if a prompt was cut to the model's context"),
        )),
        (status = 400, description = "A parameter, the image or the mask is wrong, or the model can't do what is asked; `param` says which.", body = ErrorBody),
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
pub(crate) async fn edit(
    request: HttpRequest,
    payload: Payload,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    respond(request, payload, state, Occasion::Edit, ImagesCall::edit).await
}

/// Make others of an image
///
/// Images like the one that is sent, more or less so by `strength`.
#[utoipa::path(
    post,
    path = "/v1/images/variations",
    tag = "Images",
    operation_id = "createImageVariation",
    params(
        ("x-sensorium-timeout-ms" = Option<u64>, Header, description = "Deadline of this request in milliseconds"),
        ("x-request-id" = Option<String>, Header, description = "Name of this request: at most 128 visible ASCII characters"),
    ),
    request_body(
        description = "The image, as JSON or as a form with a file.",
        content(
            (ImageVariationRequest = "application/json"),
            (ImageVariationForm = "multipart/form-data"),
        )
    ),
    responses(
        (status = 200, description = "The images.", body = ImagesReply, headers(
            ("x-sensorium-ignored" = String, description = "Fields that were not understood or are mere hints, if there were any"),
        )),
        (status = 400, description = "A parameter or the image is wrong, or the model can't do what is asked; `param` says which.", body = ErrorBody),
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
pub(crate) async fn vary(
    request: HttpRequest,
    payload: Payload,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    respond(request, payload, state, Occasion::Variation, ImagesCall::variation).await
}

/// Fetch an image
///
/// A file that a reply with `response_format: url` has linked to. Links last for an hour, unless newer files need the
/// room.
#[utoipa::path(
    get,
    path = "/v1/images/files/{name}",
    tag = "Images",
    operation_id = "getImageFile",
    params(("name" = String, Path, description = "Name of the file, from the link")),
    responses(
        (status = 200, description = "The file.", content(
            (String = "image/png"), (String = "image/jpeg"), (String = "image/webp"),
        )),
        (status = 404, description = "There is no such file, or no longer.", body = ErrorBody),
    )
)]
pub(crate) async fn file(name: Path<String>, state: Data<AppState>) -> Result<HttpResponse, ApiError> {
    let file = state.files.get(&name).ok_or(ApiError::FileNotFound)?;
    let age = format!("private, max-age={}", FileStore::left(&file).as_secs());
    Ok(HttpResponse::Ok()
        .content_type(file.format.content_type())
        .insert_header((CACHE_CONTROL, age))
        .insert_header((CONTENT_DISPOSITION, HeaderValue::from_static("inline")))
        .insert_header(("x-content-type-options", "nosniff"))
        .body(file.bytes))
}

/// Images of any occasion, in the order of a request's way.
async fn respond(
    request: HttpRequest,
    mut payload: Payload,
    state: Data<AppState>,
    occasion: Occasion,
    parse: fn(&[u8], &Limits) -> Result<ImagesCall, ApiError>,
) -> Result<HttpResponse, ApiError> {
    let body = Body::read(&request, &mut payload, &state.config, &state.bodies).await?;
    let form = form_content_type(&request).filter(|_| occasion != Occasion::Generation);
    let (asked, reservation) = match form {
        Some(form) => {
            let (bytes, reservation) = body.into_parts();
            let (given, fields) = parse_form(form, bytes).await?;
            let limits = &state.config.limits;
            (ImagesCall::from_form(occasion, given, fields, limits)?, reservation)
        }
        None => body.parse_json(&state, parse).await?,
    };
    let call = Call::new(&request, &state, &asked.model, Task::Image)?;
    let order = Order {
        model: asked.model,
        prompt: asked.prompt,
        source: asked.source,
        asked: asked.asked,
        output: asked.output,
        previews: asked.delivery.partial_images,
        base: base(&request, &state),
    };
    let begun = order.begin(&state, call).await?;
    // Until now texts and files of the body have waited in the queue.
    drop(reservation);
    let mut response = HttpResponse::Ok();
    add_ignored(&mut response, &asked.ignored);
    let truncated = begun.making.started().truncated.then(|| "prompt".to_owned());
    add_truncated(&mut response, truncated.into_iter());
    if !asked.delivery.stream {
        return Ok(response.json(whole(&state, begun).await?));
    }
    let keep_alive = state.config.stream_keep_alive;
    let pictures = Pictures::new(state, begun, Names::of(occasion));
    Ok(sse::respond(pictures.events(), keep_alive, response))
}

/// All images, once the last of them is done; the best of them, if there is something to choose by.
async fn whole(state: &AppState, begun: Begun) -> Result<ImagesReply, ApiError> {
    let Begun {
        mut making,
        sheet,
        scorer,
        counts,
    } = begun;
    let usage = ImagesUsage::from(making.started());
    let images = making.all(counts.made).await?;
    let chosen = match &scorer {
        Some(scorer) => scorer.best(state, &sheet.prompt, &images, counts.wanted).await?,
        None => (0..counts.wanted).map(|index| Ranked { index, score: 0.0 }).collect(),
    };
    let mut data = Vec::with_capacity(counts.wanted);
    let mut bytes = 0;
    for Ranked { index, score } in chosen {
        let file = sheet.file(state, index, &images[index], true).await?;
        bytes += file.len();
        let limit = state.config.limits.reply_bytes;
        if bytes > limit && !sheet.output.link {
            return Err(ApiError::ReplyTooLarge { limit });
        }
        data.push(sheet.object(state, index, file, scorer.as_ref().map(|_| score)));
    }
    Ok(ImagesReply {
        created: now(),
        data,
        about: sheet.about,
        usage,
        model: sheet.model,
        parameters: sheet.parameters,
    })
}

/// What links begin with: where the server is said to be, or where this request came to.
fn base(request: &HttpRequest, state: &AppState) -> String {
    match &state.config.public_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => {
            let info = request.connection_info();
            format!("{}://{}", info.scheme(), info.host())
        }
    }
}
