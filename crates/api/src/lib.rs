//! The HTTP face of Sensorium: the API that OpenAI's clients speak, with images wherever
//! text may stand.
//!
//! A request's way through this crate, in the order in which it spends:
//!
//! ```text
//! socket.rs    even replies to requests that aren't HTTP have our shape
//! observe.rs   an id, a span, a clock, a line in the log, its share of the metrics
//! body.rs      bytes reserved, then read, against the clock          408 413 415 429
//! wire/        JSON weighed, then parsed; or a form: every field accounted for   400 429
//! context.rs   one deadline, one cancellation, who asks
//!              (the engine takes the model's slot here)                  404 429 503
//! inputs.rs    pixels reserved, images loaded, token ids decoded                 400 503 504
//! chat/        the same for chats: what the model can't do is refused            400 503 504
//! pictures/    the same for images: an image to begin with, and its mask                400 503 504
//!              (the engine embeds, or the model begins to reply)     400 500 503 504
//! routes/      vectors or texts -> the reply
//! sse.rs       or, once the prompt has been read, the reply as it is made
//! ```
//!
//! [`Server::build`] binds; [`Server::run`] serves until its [`Stopper`] has drained it.
//! `ApiError` is every way to fail, [`openapi_json`] the description of it all.
#![forbid(unsafe_code)]

mod app;
mod body;
mod chat;
mod config;
mod context;
mod error;
mod exchange;
mod files;
mod headers;
mod images;
mod inputs;
mod observe;
mod openapi;
mod pictures;
mod routes;
mod server;
mod socket;
mod sse;
mod state;
mod tokens;
mod vectors;
mod wire;

pub use config::{Config, Limits};
pub use openapi::openapi_json;
pub use server::{Server, Stopper};
