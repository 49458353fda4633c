//! The one shape of an error.

use serde::Serialize;
use utoipa::ToSchema;

/// The body of every reply that is not a success.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    /// What went wrong.
    pub(crate) error: ErrorObject,
}

/// What went wrong. All four keys are always there.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorObject {
    /// For people: what is wrong and what to do about it.
    #[schema(example = "missing required parameter: 'input'")]
    pub(crate) message: String,
    /// `invalid_request_error`, `rate_limit_error` or `server_error`.
    #[serde(rename = "type")]
    #[schema(example = "invalid_request_error")]
    pub(crate) kind: String,
    /// The parameter to blame, with its place: `input[2]`.
    #[schema(required, example = "input")]
    pub(crate) param: Option<String>,
    /// For programs: stays the same when the message is reworded.
    #[schema(required, example = "missing_required_parameter")]
    pub(crate) code: Option<String>,
}
