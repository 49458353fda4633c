//! All routes. What has no route is a 404, and a wrong method a 405, in OpenAI's shape.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{App, Error, FromRequest, Handler, HttpRequest, Resource, Responder};

use crate::error::ApiError;
use crate::observe::observe;
use crate::routes::{chat, classify, completions, docs, embeddings, health, images, metrics, models};
use crate::state::AppState;

/// The application that each worker serves.
pub(crate) fn app(
    state: Data<AppState>,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    App::new()
        .app_data(state)
        .configure(routes)
        .default_service(web::to(route_not_found))
        .wrap(from_fn(observe))
}

/// Every pattern that a metric may be labelled with.
const ROUTES: [&str; 19] = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/classify",
    "/v1/images/generations",
    "/v1/images/edits",
    "/v1/images/variations",
    FILE,
    "/v1/models",
    MODEL,
    "/livez",
    "/readyz",
    "/health",
    "/metrics",
    "/openapi.json",
    "/docs",
    "/docs/scalar.js",
    "/docs/start.js",
    "/",
];

/// Routes that machines ask all the time: not counted as work, not logged at `info`.
pub(crate) const PROBES: [&str; 4] = ["/livez", "/readyz", "/health", "/metrics"];

/// Ids may hold slashes.
const MODEL: &str = "/v1/models/{model:.+}";

/// A link's name is a secret: no label holds it.
const FILE: &str = "/v1/images/files/{name}";

/// The label of a matched pattern, so that no raw path becomes one.
pub(crate) fn route_label(pattern: Option<&str>) -> &'static str {
    match pattern {
        Some(MODEL) => "/v1/models/{model}",
        Some(pattern) => ROUTES
            .into_iter()
            .find(|route| *route == pattern)
            .unwrap_or("unmatched"),
        None => "unmatched",
    }
}

fn routes(config: &mut ServiceConfig) {
    config
        .service(post("/v1/chat/completions", chat::create))
        .service(post("/v1/completions", completions::create))
        .service(post("/v1/embeddings", embeddings::create))
        .service(post("/v1/classify", classify::create))
        .service(post("/v1/images/generations", images::generate))
        .service(post("/v1/images/edits", images::edit))
        .service(post("/v1/images/variations", images::vary))
        .service(get(FILE, images::file))
        .service(get("/v1/models", models::list))
        .service(get(MODEL, models::retrieve))
        .service(get("/livez", health::livez))
        .service(get("/readyz", health::readyz))
        .service(get("/health", health::health))
        .service(get("/metrics", metrics::metrics))
        .service(get("/openapi.json", docs::openapi))
        .service(get("/docs", docs::page))
        .service(get("/docs/scalar.js", docs::script))
        .service(get("/docs/start.js", docs::start))
        .service(get("/", docs::root));
}

fn get<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args> + Clone,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let (get, head) = (web::get().to(handler.clone()), web::head().to(handler));
    web::resource(path)
        .route(get)
        .route(head)
        .default_service(web::to(only_get))
}

fn post<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::resource(path)
        .route(web::post().to(handler))
        .default_service(web::to(only_post))
}

async fn only_get(request: HttpRequest) -> Result<String, ApiError> {
    Err(ApiError::MethodNotAllowed {
        method: request.method().to_string(),
        allow: "GET, HEAD",
    })
}

async fn only_post(request: HttpRequest) -> Result<String, ApiError> {
    Err(ApiError::MethodNotAllowed {
        method: request.method().to_string(),
        allow: "POST",
    })
}

async fn route_not_found(request: HttpRequest) -> Result<String, ApiError> {
    let path = request.path().chars().take(200).collect();
    Err(ApiError::RouteNotFound {
        method: request.method().to_string(),
        path,
    })
}
