//! What goes over the wire: JSON as OpenAI's clients and their relatives write and read
//! it. Domain types live elsewhere; here they are only parsed into and printed from.

pub(crate) mod chat;
pub(crate) mod classify;
pub(crate) mod completions;
pub(crate) mod embeddings;
pub(crate) mod error;
pub(crate) mod fields;
pub(crate) mod form;
pub(crate) mod health;
pub(crate) mod images;
pub(crate) mod input;
pub(crate) mod models;
pub(crate) mod object;
mod reader;
pub(crate) mod sampling;
pub(crate) mod schema;
pub(crate) mod stamp;
pub(crate) mod usage;
pub(crate) mod weight;
