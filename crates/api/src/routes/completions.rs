//! `POST /v1/completions`.

use std::sync::Arc;

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use sensorium_engine::{OutputFormat, Prompt, Task};

use crate::body::Body;
use crate::chat::choices::{Asking, Choices};
use crate::chat::events::events;
use crate::chat::honours::{chat_capabilities, check_honoured};
use crate::chat::prompt::{complete, requests, reserve_copies};
use crate::chat::refusal::PromptParam;
use crate::chat::reply::gather;
use crate::context::Call;
use crate::error::ApiError;
use crate::headers::add_ignored;
use crate::sse;
use crate::state::AppState;
use crate::wire::completions::chunk::CompletionFrames;
use crate::wire::completions::reply::{Completion, OBJECT, Style};
use crate::wire::completions::request::CompletionsCall;
use crate::wire::completions::schema::CompletionRequest;
use crate::wire::error::ErrorBody;
use crate::wire::stamp::Stamp;

/// Continue a text
///
/// OpenAI's older route: the model goes on with a text as it stands, without a chat template. Streams as
/// `/v1/chat/completions` does, in events of the same shape as the reply.
#[utoipa::path(
    post,
    path = "/v1/completions",
    tag = "Chat",
    operation_id = "createCompletion",
    params(
        ("x-sensorium-timeout-ms" = Option<u64>, Header, description = "Deadline of this request in milliseconds"),
        ("x-request-id" = Option<String>, Header, description = "Name of this request: at most 128 visible ASCII characters"),
    ),
    request_body(
        description = "Texts, and what is asked of their continuations.",
        content = CompletionRequest,
        content_type = "application/json",
    ),
    responses(
        (status = 200, description = "The continuations; with `stream: true` one event for each part of them.", content(
            (Completion = "application/json"),
            (Completion = "text/event-stream"),
        ), headers(
            ("x-sensorium-ignored" = String, description = "Fields that were not understood or are mere hints, if there were any"),
        )),
        (status = 400, description = "A parameter or a prompt is wrong, or the model can't do what is asked; `param` says which.", body = ErrorBody),
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
    let most = state.config.limits.reply_bytes;
    let body = Body::read(&request, &mut payload, &state.config, &state.bodies).await?;
    let (asked, reservation) = body.parse_json(&state, CompletionsCall::from_json).await?;
    let CompletionsCall {
        model,
        prompts,
        echo,
        asked,
        delivery,
        ignored,
    } = asked;
    let call = Call::new(&request, &state, &model, Task::Chat)?;
    let admission = Arc::new(state.engine.admit(&model, call.context.clone()).await?);
    let chat = chat_capabilities(&admission)?;
    check_honoured(chat, &asked)?;
    let param = if prompts.listed {
        PromptParam::Prompts
    } else {
        PromptParam::Prompt
    };
    let prompts = complete(&state, &admission, chat, prompts, echo).await?;
    let n = asked.n;
    let style = Style {
        echo: if echo { texts(&prompts) } else { Vec::new() },
        each: n as usize,
        logprobs: asked.top_logprobs.is_some(),
    };
    if style.echo.iter().map(|text| text.len() * n as usize).sum::<usize>() > most {
        return Err(ApiError::ReplyTooLarge { limit: most });
    }
    let count = prompts.len() * n as usize;
    let asking = Asking {
        admission: admission.clone(),
        call,
        copies: reserve_copies(&state, &prompts, &OutputFormat::Text, n)?,
        requests: requests(prompts, n, |prompt, choice| {
            asked.request(prompt, OutputFormat::Text, choice)
        }),
        each: n as usize,
        param,
    };
    let choices = Choices::open(asking).await?;
    drop(reservation);
    let stamp = Stamp::new(
        "cmpl",
        OBJECT,
        &admission.model().id,
        &admission.capabilities().revision,
    );
    let mut response = HttpResponse::Ok();
    add_ignored(&mut response, &ignored);
    if delivery.stream {
        let frames = CompletionFrames::new(stamp, count, delivery.include_usage, style);
        return Ok(sse::respond(
            events(choices, frames),
            state.config.stream_keep_alive,
            response,
        ));
    }
    let (replies, usage) = gather(choices, count, most).await?;
    Ok(response.json(Completion::new(&stamp, replies, usage, &style)))
}

/// The texts of prompts; ids can't be echoed, and were refused.
fn texts(prompts: &[Prompt]) -> Vec<Arc<str>> {
    let text = |prompt: &Prompt| match prompt {
        Prompt::Text(text) => Arc::from(text.as_str()),
        Prompt::TokenIds(_) | Prompt::Conversation(_) => Arc::from(""),
    };
    prompts.iter().map(text).collect()
}
