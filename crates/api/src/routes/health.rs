//! The probes: `/livez`, `/readyz`, and `/health` for people.

use actix_web::HttpResponse;
use actix_web::http::header::RETRY_AFTER;
use actix_web::web::{Data, Json};
use sensorium_engine::Readiness;

use crate::state::AppState;
use crate::wire::health::{Health, Live, ModelHealth, Ready};
use crate::wire::models::state_name;

/// Is the process alive?
///
/// Touches no model. A probe that fails here means: restart the server.
#[utoipa::path(
    get,
    path = "/livez",
    tag = "Operation",
    operation_id = "livez",
    responses((status = 200, description = "It is.", body = Live))
)]
pub(crate) async fn livez() -> Json<Live> {
    Json(Live { status: "ok" })
}

/// Should it be sent requests?
///
/// Ready means that every model marked `load = "eager"` has answered a real tiny request.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "Operation",
    operation_id = "readyz",
    responses(
        (status = 200, description = "It should.", body = Ready),
        (status = 503, description = "Not now: a model is not ready, or the server is stopping.", body = Ready),
    )
)]
pub(crate) async fn readyz(state: Data<AppState>) -> HttpResponse {
    let readiness = state.engine.readiness();
    let ready = readiness.ready && !readiness.draining;
    let mut response = if ready {
        HttpResponse::Ok()
    } else {
        HttpResponse::ServiceUnavailable()
    };
    if !ready {
        response.insert_header((RETRY_AFTER, "1"));
    }
    response.json(Ready {
        status: status(&readiness),
        models: models(&readiness),
    })
}

/// A summary for people
///
/// Always 200: see `/readyz` for a probe.
#[utoipa::path(
    get,
    path = "/health",
    tag = "Operation",
    operation_id = "health",
    responses((status = 200, description = "What the server is doing.", body = Health))
)]
pub(crate) async fn health(state: Data<AppState>) -> Json<Health> {
    let readiness = state.engine.readiness();
    Json(Health {
        status: status(&readiness),
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: state.started.elapsed().as_secs(),
        requests_running: state.running.count(),
        models: models(&readiness),
    })
}

fn status(readiness: &Readiness) -> &'static str {
    match (readiness.draining, readiness.ready) {
        (true, _) => "draining",
        (false, true) => "ready",
        (false, false) => "not_ready",
    }
}

fn models(readiness: &Readiness) -> Vec<ModelHealth> {
    readiness
        .models
        .iter()
        .map(|(id, state)| ModelHealth {
            id: id.clone(),
            state: state_name(state),
        })
        .collect()
}
