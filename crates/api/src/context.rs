//! What a request carries from the socket to the kernel: one deadline, one cancellation,
//! and who asks.

use std::time::{Duration, Instant};

use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;
use sensorium_engine::{CancellationToken, Owner, RequestContext, Task};
use tokio_util::sync::DropGuard;

use crate::config::Config;
use crate::error::ApiError;
use crate::observe::note_model;
use crate::state::AppState;

/// Header with which a client bounds its request, in milliseconds.
pub(crate) const TIMEOUT_HEADER: &str = "x-sensorium-timeout-ms";

/// A request's context. When the client goes away its handler is dropped, this with it, and
/// all work for it is cancelled.
#[derive(Debug)]
pub(crate) struct Call {
    /// For the engine.
    pub(crate) context: RequestContext,
    _cancel_on_drop: DropGuard,
}

// === impl Call ===

impl Call {
    /// The context of a request for a model, whose body has arrived: its time begins now, and from
    /// now on metrics and log name the model, however the request ends.
    ///
    /// # Errors
    /// If it asks for a deadline that it can't have.
    pub(crate) fn new(request: &HttpRequest, state: &AppState, model: &str, task: Task) -> Result<Self, ApiError> {
        let model = state.engine.model(model);
        if let Some(model) = &model {
            note_model(request, &model.id);
        }
        let timeout = match requested_timeout(request, &state.config)? {
            Some(timeout) => timeout,
            None => model
                .and_then(|model| model.timeout)
                .unwrap_or_else(|| default_timeout(&state.config, task)),
        };
        let deadline = Instant::now() + timeout;
        let cancel = CancellationToken::new();
        let guard = cancel.clone().drop_guard();
        let context = RequestContext {
            deadline,
            cancel,
            owner: owner(request),
            task,
        };
        Ok(Self {
            context,
            _cancel_on_drop: guard,
        })
    }
}

/// How long a request may take that doesn't say, of a model that doesn't either.
fn default_timeout(config: &Config, task: Task) -> Duration {
    match task {
        Task::Chat => config.chat_timeout,
        Task::Image => config.image_timeout,
        Task::Embed | Task::Transcribe => config.timeout,
    }
}

fn requested_timeout(request: &HttpRequest, config: &Config) -> Result<Option<Duration>, ApiError> {
    let Some(value) = request.headers().get(TIMEOUT_HEADER) else {
        return Ok(None);
    };
    let longest = config.max_timeout.as_millis();
    value
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse::<u64>().ok())
        .filter(|ms| *ms > 0 && u128::from(*ms) <= longest)
        .map(|ms| Some(Duration::from_millis(ms)))
        .ok_or_else(|| {
            ApiError::invalid(
                TIMEOUT_HEADER,
                format!("{TIMEOUT_HEADER} must be milliseconds from 1 to {longest}"),
            )
        })
}

/// A key separates its caller's cached results from others'; nothing here checks it.
fn owner(request: &HttpRequest) -> Owner {
    let key = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    match key.and_then(|value| value.strip_prefix("Bearer ")) {
        Some(key) if !key.trim().is_empty() => Owner::from_key(key.trim()),
        Some(_) | None => Owner::anonymous(),
    }
}
