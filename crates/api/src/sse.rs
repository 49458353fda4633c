//! Server-sent events: a reply's parts as they come, each flushed by itself.
//!
//! The socket pulls: while it has 32 KiB that its client does not read, nothing more is asked of the model's stream,
//! so a slow reader stalls its own reply and costs one event besides. When nothing comes for a while a comment keeps
//! proxies awake. An error after the first byte is an event of its own, without the `[DONE]` that ends all others.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::HttpResponseBuilder;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use bytes::Bytes;
use futures::Stream;
use futures::stream;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use crate::chat::choices::{Choices, Step};
use crate::wire::usage::Usage;

/// Makes events of what choices do.
pub(crate) trait Frames {
    /// The event of a step; `None` if it says nothing.
    fn step(&mut self, index: usize, step: Step) -> Option<Bytes>;
    /// The last event, if there is one.
    fn end(&mut self, usage: Usage) -> Option<Bytes>;
}

/// A reply that is sent as it is made.
pub(crate) struct Events<F> {
    choices: Choices,
    frames: F,
    keep_alive: Duration,
}

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

// === impl Events ===

impl<F: Frames + 'static> Events<F> {
    /// Events of what `choices` do, as `frames` writes them, with a comment where nothing comes for `keep_alive`.
    pub(crate) fn new(choices: Choices, frames: F, keep_alive: Duration) -> Self {
        Self {
            choices,
            frames,
            keep_alive,
        }
    }

    /// The reply, on top of headers that were set before.
    pub(crate) fn into_response(self, mut response: HttpResponseBuilder) -> HttpResponse {
        response
            .insert_header((CONTENT_TYPE, "text/event-stream; charset=utf-8"))
            .insert_header((CACHE_CONTROL, "no-cache"))
            .insert_header(("x-accel-buffering", "no"))
            .streaming(self.into_stream())
    }

    fn into_stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold(Some(self), |events| async move {
            let (bytes, events) = events?.next().await;
            Some((Ok(bytes), events))
        })
    }

    /// What is to be sent next, and what comes after it.
    async fn next(mut self) -> (Bytes, Option<Self>) {
        let patience = Instant::now() + self.keep_alive;
        loop {
            match timeout_at(patience, self.choices.next()).await {
                Err(_) => return (Bytes::from_static(KEEP_ALIVE), Some(self)),
                Ok(Some(Ok((index, step)))) => {
                    if let Some(event) = self.frames.step(index, step) {
                        return (event, Some(self));
                    }
                }
                Ok(Some(Err(error))) => {
                    tracing::warn!(%error, "a stream broke off");
                    return (data(&error.body()), None);
                }
                Ok(None) => {
                    let last = self.frames.end(self.choices.usage()).unwrap_or_default();
                    return ([&last[..], DONE].concat().into(), None);
                }
            }
        }
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
