//! Everything that can go wrong with a request, in one closed enum, and the one
//! exhaustive map from it to HTTP.
//!
//! The policy: a 4xx says what to change and names the parameter; 429 and 503 say when
//! to come back; a message names no path, socket or pointer of this machine; and a new
//! kind of error doesn't compile until it has its status here.

mod reply;

use std::borrow::Cow;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use sensorium_engine::{Error as EngineError, RejectReason};
use sensorium_media::MediaError;

use self::reply::{RATE_LIMIT, Reply, SERVER, SHORTLY, engine_reply, media_reply};
use crate::wire::error::ErrorBody;

/// Why a request is refused or failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// No route has this path.
    #[error("there is no {method} {path} here: see /docs for what there is")]
    RouteNotFound {
        /// Method of the request.
        method: String,
        /// Its path, cut to a readable length.
        path: String,
    },
    /// The path exists, the method doesn't.
    #[error("this route does not take {method}: use {allow}")]
    MethodNotAllowed {
        /// Method of the request.
        method: String,
        /// What the route takes, as the `Allow` header lists it.
        allow: &'static str,
    },
    /// No file has this name, or no longer.
    #[error("there is no such file, or no longer: links last for a while")]
    FileNotFound,
    /// The body is compressed.
    #[error("bodies are read as they are: send it without content-encoding")]
    ContentEncoding,
    /// The body is larger than the server reads.
    #[error("the body is larger than {limit} bytes: send fewer or smaller inputs a request")]
    BodyTooLarge {
        /// Largest body in bytes.
        limit: u64,
    },
    /// The bodies under way hold all the bytes that the server spends on them.
    #[error("the server is reading as many bodies as it may: try again shortly")]
    BodyBudget,
    /// The body came too slowly.
    #[error("the body did not arrive in time: {received} bytes came")]
    BodyTimeout {
        /// Bytes that did arrive.
        received: usize,
    },
    /// The connection or its framing broke inside the body.
    #[error("the body broke off or its framing is invalid")]
    BodyBroken,
    /// The body is not what its content type says.
    #[error("{message}")]
    Malformed {
        /// What is wrong, and where.
        message: String,
    },
    /// A required parameter is missing.
    #[error("missing required parameter: '{param}'")]
    Missing {
        /// Its name.
        param: Cow<'static, str>,
    },
    /// A parameter has a value that it can't have.
    #[error("{message}")]
    Invalid {
        /// Where it is: `input[2]`.
        param: Cow<'static, str>,
        /// What is wrong and what to do.
        message: String,
    },
    /// A known parameter that this model or server does not honour.
    #[error("{message}")]
    Unsupported {
        /// Its name.
        param: Cow<'static, str>,
        /// What is wrong and what to do.
        message: String,
    },
    /// An image or other file can't be had or read.
    #[error("{source}")]
    Media {
        /// Which input it belongs to.
        param: String,
        /// What is wrong with it.
        source: MediaError,
    },
    /// The engine refused or failed; `param` locates the input, if it was one.
    #[error("{source}")]
    Engine {
        /// Which parameter is to blame, if one is.
        param: Option<Cow<'static, str>>,
        /// What happened.
        source: EngineError,
    },
    /// What was asked for is more than is kept until it can be sent as a whole.
    #[error("the reply is larger than {limit} bytes: ask for a stream, or for less")]
    ReplyTooLarge {
        /// Largest reply in bytes.
        limit: usize,
    },
    /// A defect of the server.
    #[error("internal error: {0}")]
    Internal(&'static str),
}

// === impl ApiError ===

impl ApiError {
    /// A parameter has a value that it can't have.
    pub(crate) fn invalid(param: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::Invalid {
            param: param.into(),
            message: message.into(),
        }
    }

    /// A known parameter that is not honoured.
    pub(crate) fn unsupported(param: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::Unsupported {
            param: param.into(),
            message: message.into(),
        }
    }

    /// A required parameter is missing.
    pub(crate) fn missing(param: impl Into<Cow<'static, str>>) -> Self {
        Self::Missing { param: param.into() }
    }

    /// The body can't be parsed.
    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::Malformed {
            message: message.into(),
        }
    }

    /// An error of the engine, whose inputs came in `param`.
    pub(crate) fn at_input(source: EngineError, param: &'static str, listed: bool) -> Self {
        match &source {
            EngineError::Item { index, .. } if listed => {
                let param = Cow::Owned(format!("{param}[{index}]"));
                Self::Engine {
                    param: Some(param),
                    source,
                }
            }
            EngineError::Item { .. } => Self::Engine {
                param: Some(Cow::Borrowed(param)),
                source,
            },
            _ => source.into(),
        }
    }

    /// Why a request was turned away before any work, as the metrics call it; `None` if it
    /// was not.
    pub(crate) fn rejection(&self) -> Option<RejectReason> {
        match self {
            Self::BodyBudget => Some(RejectReason::BodyBudget),
            Self::BodyTooLarge { .. } => Some(RejectReason::TooLarge),
            Self::Engine {
                source: EngineError::QueueFull { .. },
                ..
            } => Some(RejectReason::QueueFull),
            Self::Engine {
                source: EngineError::Unavailable { .. },
                ..
            } => Some(RejectReason::Unavailable),
            Self::Engine {
                source: EngineError::Draining,
                ..
            } => Some(RejectReason::Draining),
            Self::Engine { .. }
            | Self::RouteNotFound { .. }
            | Self::MethodNotAllowed { .. }
            | Self::FileNotFound
            | Self::ContentEncoding
            | Self::BodyTimeout { .. }
            | Self::BodyBroken
            | Self::Malformed { .. }
            | Self::Missing { .. }
            | Self::Invalid { .. }
            | Self::Unsupported { .. }
            | Self::Media { .. }
            | Self::ReplyTooLarge { .. }
            | Self::Internal(_) => None,
        }
    }

    /// What the client is told, also where it is too late for a status.
    pub(crate) fn body(&self) -> ErrorBody {
        self.reply().body(self.public_message())
    }

    /// The message for the client. Why a model is down goes to the log, not over the wire.
    fn public_message(&self) -> String {
        match self {
            Self::Engine {
                source: EngineError::Unavailable { model, .. },
                ..
            } => {
                format!("the model `{model}` is not available now: try again later")
            }
            Self::Engine {
                source: EngineError::Item { error, .. },
                ..
            } => error.to_string(),
            Self::Engine { .. }
            | Self::RouteNotFound { .. }
            | Self::MethodNotAllowed { .. }
            | Self::FileNotFound
            | Self::ContentEncoding
            | Self::BodyTooLarge { .. }
            | Self::BodyBudget
            | Self::BodyTimeout { .. }
            | Self::BodyBroken
            | Self::Malformed { .. }
            | Self::Missing { .. }
            | Self::Invalid { .. }
            | Self::Unsupported { .. }
            | Self::Media { .. }
            | Self::ReplyTooLarge { .. }
            | Self::Internal(_) => self.to_string(),
        }
    }

    /// The one map from errors to HTTP.
    fn reply(&self) -> Reply {
        match self {
            Self::RouteNotFound { .. } => Reply::invalid(StatusCode::NOT_FOUND, "unknown_url"),
            Self::MethodNotAllowed { .. } => Reply::invalid(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::FileNotFound => Reply::invalid(StatusCode::NOT_FOUND, "file_not_found"),
            Self::ContentEncoding => Reply::invalid(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_content_encoding"),
            Self::BodyTooLarge { .. } => Reply::invalid(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::BodyBudget => {
                Reply::new(StatusCode::TOO_MANY_REQUESTS, RATE_LIMIT, "body_budget_full").retry(SHORTLY)
            }
            Self::BodyTimeout { .. } => Reply::invalid(StatusCode::REQUEST_TIMEOUT, "body_timeout"),
            Self::BodyBroken => Reply::invalid(StatusCode::BAD_REQUEST, "body_broken"),
            Self::Malformed { .. } => Reply::invalid(StatusCode::BAD_REQUEST, "invalid_body"),
            Self::Missing { param } => {
                Reply::invalid(StatusCode::BAD_REQUEST, "missing_required_parameter").param(param)
            }
            Self::Invalid { param, .. } => Reply::invalid(StatusCode::BAD_REQUEST, "invalid_value").param(param),
            Self::Unsupported { param, .. } => {
                Reply::invalid(StatusCode::BAD_REQUEST, "unsupported_parameter").param(param)
            }
            Self::Media { param, source } => media_reply(source).param(param),
            Self::Engine { param, source } => {
                let reply = engine_reply(source);
                match param {
                    Some(param) => reply.param(param),
                    None => reply,
                }
            }
            Self::ReplyTooLarge { .. } => Reply::invalid(StatusCode::BAD_REQUEST, "reply_too_large"),
            Self::Internal(_) => Reply::new(StatusCode::INTERNAL_SERVER_ERROR, SERVER, "internal_error"),
        }
    }
}

impl From<EngineError> for ApiError {
    fn from(source: EngineError) -> Self {
        let param = match &source {
            EngineError::ModelNotFound { .. } | EngineError::TaskUnsupported { .. } => Some(Cow::Borrowed("model")),
            EngineError::Item { index, .. } => Some(Cow::Owned(format!("input[{index}]"))),
            EngineError::QueueFull { .. }
            | EngineError::Unavailable { .. }
            | EngineError::Draining
            | EngineError::Deadline
            | EngineError::Cancelled
            | EngineError::Refused(_)
            | EngineError::Caller { .. }
            | EngineError::Model { .. }
            | EngineError::Crashed { .. } => None,
        };
        Self::Engine { param, source }
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.reply().status
    }

    fn error_response(&self) -> HttpResponse {
        let reply = self.reply();
        let mut response = HttpResponse::build(reply.status);
        if let Self::MethodNotAllowed { allow, .. } = self {
            response.insert_header((ALLOW, HeaderValue::from_static(allow)));
        }
        if matches!(
            self,
            Self::BodyTooLarge { .. } | Self::BodyTimeout { .. } | Self::BodyBroken
        ) {
            // What is left of the body is not read: the connection can't be used again.
            response.insert_header((CONNECTION, HeaderValue::from_static("close")));
        }
        if let Some(after) = reply.retry_after {
            let seconds = after.as_millis().div_ceil(1000).max(1);
            response.insert_header((RETRY_AFTER, seconds.to_string()));
            response.insert_header(("retry-after-ms", after.as_millis().max(1).to_string()));
        }
        let body = reply.body(self.public_message());
        response.insert_header((CONTENT_TYPE, HeaderValue::from_static("application/json")));
        response.body(serde_json::to_vec(&body).unwrap_or_default())
    }
}
