//! `POST /v1/chat/completions`: the request, field by field, and OpenAI's reply, whole or in chunks.

pub(crate) mod chunk;
pub(crate) mod format;
pub(crate) mod logprobs;
pub(crate) mod message;
pub(crate) mod part;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod schema;
pub(crate) mod tool;
