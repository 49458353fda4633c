//! `GET /metrics`, for Prometheus.

use actix_web::HttpResponse;
use actix_web::web::Data;

use crate::error::ApiError;
use crate::state::AppState;

/// Metrics for Prometheus
///
/// Families are called `sensorium_…`; labels name routes, models, plugins and tasks, never users or prompts.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "Operation",
    operation_id = "metrics",
    responses((status = 200, description = "The text format of Prometheus.", body = String, content_type = "text/plain"))
)]
pub(crate) async fn metrics(state: Data<AppState>) -> Result<HttpResponse, ApiError> {
    let text = state
        .engine
        .metrics()
        .render()
        .map_err(|_| ApiError::Internal("metrics can't be written"))?;
    Ok(HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(text))
}
