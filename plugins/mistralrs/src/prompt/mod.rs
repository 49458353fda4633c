//! From a conversation to the prompt that the engine reads: messages put into words by the model's chat template, with
//! nothing in the client's words taken for a token that means something.

mod conversation;
mod json;
mod neutral;
mod prepare;
mod template;

pub(crate) use prepare::{Input, Parts, Preparer, Prompted};
pub(crate) use template::ChatTemplate;
