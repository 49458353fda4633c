//! Server-sent events: a reply's parts as they come, each flushed by itself.
//!
//! The socket pulls: while it has 32 KiB that its client does not read, nothing more is asked of the model's stream,
//! so a slow reader stalls its own reply and costs one event besides. When nothing comes for a while a comment keeps
//! proxies awake. An error after the first byte is an event of its own, without the `[DONE]` that ends a chat.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::HttpResponseBuilder;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use bytes::Bytes;
use futures::stream::{self, LocalBoxStream};
use futures::{Stream, StreamExt};
use serde::Serialize;
use tokio::time::timeout;

use crate::error::ApiError;

const DONE: &[u8] = b"data: [DONE]\n\n";
const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// One event with a JSON object.
pub(crate) fn data(value: &impl Serialize) -> Bytes {
    let mut event = b"data: ".to_vec();
    // Ours are plain structs: they can't fail to be written. JSON has no raw line ends.
    if serde_json::to_writer(&mut event, value).is_err() {
        return Bytes::new();
    }
    event.extend_from_slice(b"\n\n");
    event.into()
}

/// The end of a chat's or a completion's stream, behind its last event.
pub(crate) fn done(last: &[u8]) -> Bytes {
    [last, DONE].concat().into()
}

/// A reply of events as they come, on top of headers that were set before, with a comment where nothing comes for
/// `keep_alive`. Nothing is asked of `events` before the socket takes more; an error is their last.
pub(crate) fn respond(
    events: impl Stream<Item = Result<Bytes, ApiError>> + 'static,
    keep_alive: Duration,
    mut response: HttpResponseBuilder,
) -> HttpResponse {
    let events: Option<LocalBoxStream<'static, _>> = Some(Box::pin(events));
    let bytes = stream::unfold(events, move |events| async move {
        let (bytes, events) = next(events?, keep_alive).await?;
        Some((Ok::<_, Infallible>(bytes), events))
    });
    response
        .insert_header((CONTENT_TYPE, "text/event-stream; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(bytes)
}

type Events = LocalBoxStream<'static, Result<Bytes, ApiError>>;

/// What is to be sent next, and what comes after it.
async fn next(mut events: Events, keep_alive: Duration) -> Option<(Bytes, Option<Events>)> {
    // A stream goes on where it was: what it is waiting for is not lost with the patience.
    match timeout(keep_alive, events.next()).await {
        Err(_) => Some((Bytes::from_static(KEEP_ALIVE), Some(events))),
        Ok(Some(Ok(event))) => Some((event, Some(events))),
        Ok(Some(Err(error))) => {
            tracing::warn!(%error, "a stream broke off");
            Some((data(&error.body()), None))
        }
        Ok(None) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_one_line_of_json_and_an_empty_line() {
        for (value, expected) in [
            (json!({"a": "b"}), "data: {\"a\":\"b\"}\n\n"),
            (json!("one\ntwo\r\n\u{2028}"), "data: \"one\\ntwo\\r\\n\u{2028}\"\n\n"),
        ] {
            assert_eq!(data(&value), expected);
        }
    }
}
