//! What errors look like over HTTP: statuses, types, codes, and when to come back.

use std::time::Duration;

use actix_web::http::StatusCode;
use sensorium_engine::{Error as EngineError, ItemErrorCode, RefusalCode};
use sensorium_media::MediaError;

use crate::wire::error::{ErrorBody, ErrorObject};

/// What an error looks like over HTTP.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    kind: &'static str,
    code: &'static str,
    param: Option<String>,
    pub(super) retry_after: Option<Duration>,
}

/// `type` of what is the caller's fault.
const INVALID_REQUEST: &str = "invalid_request_error";
/// `type` of a 429.
pub(super) const RATE_LIMIT: &str = "rate_limit_error";
/// `type` of what is not the caller's fault.
pub(super) const SERVER: &str = "server_error";
/// When to come back if nothing better is known.
pub(super) const SHORTLY: Duration = Duration::from_secs(1);

// === impl Reply ===

impl Reply {
    pub(super) fn new(status: StatusCode, kind: &'static str, code: &'static str) -> Self {
        Self {
            status,
            kind,
            code,
            param: None,
            retry_after: None,
        }
    }

    pub(super) fn invalid(status: StatusCode, code: &'static str) -> Self {
        Self::new(status, INVALID_REQUEST, code)
    }

    pub(super) fn param(mut self, param: &str) -> Self {
        self.param = Some(param.to_owned());
        self
    }

    pub(super) fn retry(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    pub(super) fn body(self, message: String) -> ErrorBody {
        ErrorBody {
            error: ErrorObject {
                message,
                kind: self.kind.to_owned(),
                param: self.param,
                code: Some(self.code.to_owned()),
            },
        }
    }
}

/// What the engine's errors look like.
pub(super) fn engine_reply(error: &EngineError) -> Reply {
    match error {
        EngineError::ModelNotFound { .. } => Reply::invalid(StatusCode::NOT_FOUND, "model_not_found"),
        EngineError::TaskUnsupported { .. } => Reply::invalid(StatusCode::BAD_REQUEST, "task_unsupported"),
        EngineError::QueueFull { retry_after, .. } => {
            Reply::new(StatusCode::TOO_MANY_REQUESTS, RATE_LIMIT, "queue_full").retry(*retry_after)
        }
        EngineError::Unavailable { retry_after, .. } => {
            Reply::new(StatusCode::SERVICE_UNAVAILABLE, SERVER, "model_unavailable").retry(*retry_after)
        }
        EngineError::Draining => Reply::new(StatusCode::SERVICE_UNAVAILABLE, SERVER, "server_draining").retry(SHORTLY),
        EngineError::Deadline => Reply::new(StatusCode::GATEWAY_TIMEOUT, SERVER, "deadline_exceeded"),
        // The client is gone, so nobody reads this: 499 as nginx writes it in its log.
        EngineError::Cancelled => Reply::invalid(
            StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
            "client_closed_request",
        ),
        EngineError::Item { error, .. } => {
            let code = match error.code {
                ItemErrorCode::InvalidInput => "invalid_input",
                ItemErrorCode::ContextLength => "context_length_exceeded",
            };
            Reply::invalid(StatusCode::BAD_REQUEST, code)
        }
        EngineError::Refused(refused) => {
            let code = match refused.code {
                RefusalCode::InvalidInput => "invalid_input",
                RefusalCode::ContextLength => "context_length_exceeded",
                RefusalCode::Schema => "invalid_json_schema",
            };
            Reply::invalid(StatusCode::BAD_REQUEST, code)
        }
        EngineError::Caller { .. } => Reply::invalid(StatusCode::BAD_REQUEST, "invalid_input"),
        EngineError::Model { .. } => Reply::new(StatusCode::INTERNAL_SERVER_ERROR, SERVER, "model_error"),
        EngineError::Crashed { .. } => {
            Reply::new(StatusCode::SERVICE_UNAVAILABLE, SERVER, "model_crashed").retry(SHORTLY)
        }
    }
}

/// What media's errors look like: the image's fault, unless time or the server ran out.
pub(super) fn media_reply(error: &MediaError) -> Reply {
    let code = error.code();
    match error {
        MediaError::UrlBlocked
        | MediaError::FetchFailed(_)
        | MediaError::TooManyPixels { .. }
        | MediaError::TooManyBytes { .. }
        | MediaError::TooMuchTogether
        | MediaError::UnsupportedFormat
        | MediaError::Invalid(_) => Reply::invalid(StatusCode::BAD_REQUEST, code),
        MediaError::Deadline => Reply::new(StatusCode::GATEWAY_TIMEOUT, SERVER, code),
        MediaError::Stopped => Reply::new(StatusCode::SERVICE_UNAVAILABLE, SERVER, "server_draining").retry(SHORTLY),
    }
}
