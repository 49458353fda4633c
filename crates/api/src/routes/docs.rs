//! `/openapi.json`, and `/docs`: Scalar's API reference, embedded in the binary. The page's
//! content security policy lets it talk to this server and nobody else.

use actix_web::HttpResponse;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, LOCATION, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};

use crate::openapi::openapi_json;

const PAGE: &str = include_str!("../../../../web/docs.html");
const START: &str = include_str!("../../../../web/docs.js");
/// Packed as it is served: see web/vendor/scalar/README.md.
const SCALAR_GZ: &[u8] = include_bytes!("../../../../web/vendor/scalar/standalone.js.gz");

/// Scalar writes its styles and icons inline and compiles nothing; it fetches only
/// `/openapi.json` and what "Test request" asks of this server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `GET /`: people start with the documentation.
pub(crate) async fn root() -> HttpResponse {
    HttpResponse::TemporaryRedirect()
        .insert_header((LOCATION, "/docs"))
        .finish()
}

/// `GET /openapi.json`: the description of this API.
pub(crate) async fn openapi() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(openapi_json())
}

/// `GET /docs`: the page.
pub(crate) async fn page() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(PAGE)
}

/// `GET /docs/scalar.js`: Scalar itself.
pub(crate) async fn script() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/javascript; charset=utf-8")
        .insert_header((CONTENT_ENCODING, "gzip"))
        .insert_header((CACHE_CONTROL, "public, max-age=3600"))
        .body(SCALAR_GZ)
}

/// `GET /docs/start.js`: what starts it.
pub(crate) async fn start() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/javascript; charset=utf-8")
        .body(START)
}
