//! What every request gets: an id, a span, a line in the log, its share of the metrics, and
//! the headers that say so. No prompt, key, query or raw path is ever recorded.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage, HttpRequest};
use bytes::Bytes;
use tracing::{Instrument, Span};

use crate::app::{PROBES, route_label};
use crate::error::ApiError;
use crate::exchange::{Exchange, Handling};
use crate::state::{AppState, RunningGuard};

/// The header that names a request.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The header that says how long it took, in milliseconds.
pub(crate) const PROCESSING_MS: HeaderName = HeaderName::from_static("openai-processing-ms");

/// Longest id that is taken over from a client.
const MAX_ID: usize = 128;

/// The id of the model that a request used; metrics and log take it from the request.
#[derive(Debug, Clone)]
struct ModelLabel(String);

/// Notes which model a request uses: its id, never what the client called it, so that the
/// label's values are bounded by the registry.
pub(crate) fn note_model(request: &HttpRequest, id: &str) {
    request.extensions_mut().insert(ModelLabel(id.to_owned()));
}

/// The middleware around all routes.
///
/// # Errors
/// None of its own: what fails inside has already become a reply.
pub(crate) async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<Watched>, Error> {
    let start = Instant::now();
    let handling = request.conn_data::<Exchange>().map(Exchange::begin);
    let id = request_id(&request);
    let state = request.app_data::<Data<AppState>>().cloned();
    let route = route_label(request.match_pattern().as_deref());
    let probe = PROBES.contains(&route);
    let running = state.as_ref().filter(|_| !probe).map(|state| state.running.enter());
    let method = request.method().clone();
    let mut record = Record {
        state,
        route,
        model: None,
        status: CLIENT_GONE,
        start,
        probe,
    };
    let span =
        tracing::info_span!("request", id = id.to_str().unwrap_or_default(), method = %method, route = record.route);
    let mut response = next.call(request).instrument(span.clone()).await?;
    if let Some(ModelLabel(model)) = response.request().extensions().get() {
        record.model = Some(model.clone());
    }
    let rejection = response
        .response()
        .error()
        .and_then(|error| error.as_error::<ApiError>()?.rejection());
    if let (Some(state), Some(reason)) = (&record.state, rejection) {
        state.engine.metrics().rejected(reason);
    }
    let elapsed = start.elapsed();
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    headers.insert(
        PROCESSING_MS,
        HeaderValue::from(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)),
    );
    let status = response.status().as_u16();
    Ok(response.map_body(|_, body| {
        Watched::new(
            body.boxed(),
            Watch {
                record,
                span,
                status,
                _handling: handling,
                _running: running,
            },
        )
    }))
}

/// The body of a reply. While it streams, its request counts as running; its line is written when it has ended.
pub(crate) struct Watched {
    body: BoxBody,
    watch: Option<Watch>,
}

/// What a request has until its reply has ended.
struct Watch {
    record: Record,
    span: Span,
    status: u16,
    _handling: Option<Handling>,
    _running: Option<RunningGuard>,
}

/// A request's line in log and metrics, written once: at its end, or when it is dropped
/// because its client has gone away.
struct Record {
    state: Option<Data<AppState>>,
    route: &'static str,
    model: Option<String>,
    status: u16,
    start: Instant,
    probe: bool,
}

/// As nginx writes it in its log.
const CLIENT_GONE: u16 = 499;

// === impl Watched ===

impl Watched {
    /// A reply that is there already has ended as far as anybody can watch.
    fn new(body: BoxBody, watch: Watch) -> Self {
        let watch = match body.size() {
            BodySize::Stream => Some(watch),
            BodySize::None | BodySize::Sized(_) => {
                watch.end();
                None
            }
        };
        Self { body, watch }
    }
}

impl MessageBody for Watched {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.get_mut();
        let entered = this.watch.as_ref().map(|watch| watch.span.clone().entered());
        let polled = Pin::new(&mut this.body).poll_next(cx);
        drop(entered);
        if let Poll::Ready(None) = polled
            && let Some(watch) = this.watch.take()
        {
            watch.end();
        }
        polled
    }
}

// === impl Watch ===

impl Watch {
    fn end(self) {
        let Self {
            mut record,
            span,
            status,
            ..
        } = self;
        record.status = status;
        span.in_scope(|| record.log());
    }
}

// === impl Record ===

impl Record {
    fn log(&self) {
        let ms = self.start.elapsed().as_micros() as f64 / 1000.0;
        let (status, model) = (self.status, self.model.as_deref());
        if self.probe {
            tracing::debug!(status, ms, "probe");
        } else {
            tracing::info!(status, model, ms, "request");
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.status == CLIENT_GONE {
            tracing::info!(route = self.route, status = self.status, "client went away");
        }
        if let Some(state) = &self.state {
            let metrics = state.engine.metrics();
            metrics.request_finished(self.route, self.model.as_deref(), self.status, self.start.elapsed());
        }
    }
}

/// The client's id if it is sane, else a new one.
fn request_id(request: &ServiceRequest) -> HeaderValue {
    request
        .headers()
        .get(REQUEST_ID)
        .filter(|value| is_sane(value.as_bytes()))
        .cloned()
        .unwrap_or_else(new_id)
}

/// A fresh id.
pub(crate) fn new_id() -> HeaderValue {
    let id = uuid::Uuid::new_v4().to_string();
    HeaderValue::from_str(&id).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}

fn is_sane(id: &[u8]) -> bool {
    (1..=MAX_ID).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sane_ids_are_visible_and_short() {
        let long = [b'a'; 129];
        for (id, sane) in [
            (&b"req-1"[..], true),
            (b"", false),
            (b"a b", false),
            (b"\xff", false),
            (&long, false),
        ] {
            assert_eq!(is_sane(id), sane, "{id:?}");
        }
    }
}
