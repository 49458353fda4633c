//! `POST /v1/completions`: the request and OpenAI's old reply, whole or in chunks.

pub(crate) mod chunk;
pub(crate) mod logprobs;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod schema;
