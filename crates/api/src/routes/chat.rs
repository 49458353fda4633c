//! `POST /v1/chat/completions`.

use std::sync::Arc;

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use sensorium_engine::{Prompt, Task};

use crate::body::Body;
use crate::chat::choices::{Asking, Choices};
use crate::chat::events::events;
use crate::chat::honours::{chat_capabilities, check_honoured};
use crate::chat::prompt::{converse, requests, reserve_copies};
use crate::chat::refusal::PromptParam;
use crate::chat::reply::gather;
use crate::context::Call;
use crate::error::ApiError;
use crate::headers::add_ignored;
use crate::sse;
use crate::state::AppState;
use crate::wire::chat::chunk::{ChatChunk, ChatFrames, OBJECT as CHUNK};
use crate::wire::chat::reply::{ChatCompletion, OBJECT};
use crate::wire::chat::request::ChatCall;
use crate::wire::chat::schema::ChatCompletionRequest;
use crate::wire::error::ErrorBody;
use crate::wire::stamp::Stamp;

/// Chat about texts and images
///
/// Replies to a conversation, whole or, with `stream: true`, as it is made: server-sent events, each a
/// `chat.completion.chunk`, ended by `data: [DONE]`. What goes wrong before the first event is an ordinary error; what
/// goes wrong after it is an event with `error`, and no `[DONE]`. When the client goes away the work stops.
#[utoipa::path(
    post,
    path = "/v1/chat/completions",
    tag = "Chat",
    operation_id = "createChatCompletion",
    params(
        ("x-sensorium-timeout-ms" = Option<u64>, Header, description = "Deadline of this request in milliseconds"),
        ("x-request-id" = Option<String>, Header, description = "Name of this request: at most 128 visible ASCII characters"),
    ),
    request_body(
        description = "A conversation, and what is asked of the reply.",
        content = ChatCompletionRequest,
        content_type = "application/json",
        examples(
            ("A question about an image" = (value = json!({
                "model": "gpt-4o",
                "messages": [{"role": "user", "content": [
                    {"type": "text", "text": "What is in this image?"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo…"}}
                ]}]
            }))),
            ("As it is made" = (value = json!({
                "model": "gpt-4o", "stream": true,
                "messages": [{"role": "user", "content": "What can you do?"}]
            }))),
            ("JSON that follows a schema" = (value = json!({
                "model": "gpt-4o",
                "messages": [{"role": "user", "content": "A red circle."}],
                "response_format": {"type": "json_schema", "json_schema": {"name": "shape", "strict": true, "schema": {
                    "type": "object",
                    "properties": {"colour": {"enum": ["red", "blue"]}, "shape": {"enum": ["circle", "square"]}},
                    "required": ["colour", "shape"], "additionalProperties": false
                }}}
            }))),
        )
    ),
    responses(
        (status = 200, description = "The reply; with `stream: true` one event for each part of it.", content(
            (ChatCompletion = "application/json"),
            (ChatChunk = "text/event-stream"),
        ), headers(
            ("x-sensorium-ignored" = String, description = "Fields that were not understood or are mere hints, if there were any"),
        )),
        (status = 400, description = "A parameter, a message or an image is wrong, or the model can't do what is asked; `param` says which.", body = ErrorBody),
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
    let body = Body::read(&request, &mut payload, &state.config, &state.bodies).await?;
    let (asked, reservation) = body.parse_json(&state, ChatCall::from_json).await?;
    let ChatCall {
        model,
        messages,
        tools,
        format,
        asked,
        delivery,
        ignored,
    } = asked;
    let call = Call::new(&request, &state, &model, Task::Chat)?;
    let admission = Arc::new(state.engine.admit(&model, call.context.clone()).await?);
    let chat = chat_capabilities(&admission)?;
    check_honoured(chat, &asked)?;
    let ready = converse(&state, &admission, chat, messages, tools).await?;
    let prompts = vec![Prompt::Conversation(ready.conversation)];
    let (n, logprobs) = (asked.n, asked.top_logprobs.is_some());
    let asking = Asking {
        admission: admission.clone(),
        call,
        copies: reserve_copies(&state, &prompts, &format, n)?,
        requests: requests(prompts, n, |prompt, choice| {
            asked.request(prompt, format.clone(), choice)
        }),
        each: n as usize,
        param: PromptParam::Messages,
    };
    let choices = Choices::open(asking).await?;
    // Until now texts of the body and pixels have waited in the queue.
    drop((reservation, ready.pixels));
    let object = if delivery.stream { CHUNK } else { OBJECT };
    let stamp = Stamp::new(
        "chatcmpl",
        object,
        &admission.model().id,
        &admission.capabilities().revision,
    );
    let mut response = HttpResponse::Ok();
    add_ignored(&mut response, &ignored);
    if delivery.stream {
        let frames = ChatFrames::new(stamp, n as usize, delivery.include_usage, logprobs);
        return Ok(sse::respond(
            events(choices, frames),
            state.config.stream_keep_alive,
            response,
        ));
    }
    let (replies, usage) = gather(choices, n as usize, state.config.limits.reply_bytes).await?;
    Ok(response.json(ChatCompletion::new(stamp, replies, usage, logprobs)))
}
