//! The description of this API, made from the handlers' own annotations. The copy in
//! `openapi/openapi.json` is compared with it by a test.

use std::sync::LazyLock;

use utoipa::OpenApi;

use crate::routes;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Sensorium",
        description = "Multimodal inference behind the API that OpenAI's clients speak: chat about images, images from words, and text and images in one space.\n\n\
            Every reply has `x-request-id` and `openai-processing-ms`. Every error is \
            `{\"error\": {\"message\", \"type\", \"param\", \"code\"}}`. Fields that are not understood are listed in \
            `x-sensorium-ignored`; known ones that a model does not honour are refused.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    servers((url = "/", description = "This server")),
    tags(
        (name = "Chat", description = "Replies to texts and images, whole or as they are made."),
        (name = "Embeddings", description = "Texts and images to vectors of one space."),
        (name = "Classification", description = "Images and texts against labels of your own."),
        (name = "Images", description = "Images from words and from images, whole or as they are made."),
        (name = "Models", description = "What there is, and what it can do."),
        (name = "Operation", description = "Probes and metrics."),
    ),
    paths(
        routes::chat::create,
        routes::completions::create,
        routes::embeddings::create,
        routes::classify::create,
        routes::images::generate,
        routes::images::edit,
        routes::images::vary,
        routes::images::file,
        routes::models::list,
        routes::models::retrieve,
        routes::health::livez,
        routes::health::readyz,
        routes::health::health,
        routes::metrics::metrics,
    )
)]
struct Description;

/// The description as JSON, pretty, with a line end.
pub fn openapi_json() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let mut text = Description::openapi().to_pretty_json().unwrap_or_default();
        text.push('\n');
        text
    });
    &TEXT
}
