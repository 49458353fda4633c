//! Images: made from words, made from images, as OpenAI's clients ask for them and with diffusion's own knobs.

pub(crate) mod asked;
pub(crate) mod event;
pub(crate) mod form;
pub(crate) mod output;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod schema;
pub(crate) mod source;
