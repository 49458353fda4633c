//! One file for each resource: what is asked, in the order of a request's way.

pub(crate) mod chat;
pub(crate) mod classify;
pub(crate) mod completions;
pub(crate) mod docs;
pub(crate) mod embeddings;
pub(crate) mod health;
pub(crate) mod images;
pub(crate) mod metrics;
pub(crate) mod models;
