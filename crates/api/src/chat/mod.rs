//! Chats and completions between the wire and the engine: what the model can do, its prompt, the choices that answer
//! it side by side, and their replies.

pub(crate) mod choices;
pub(crate) mod events;
pub(crate) mod honours;
pub(crate) mod prompt;
pub(crate) mod refusal;
pub(crate) mod reply;
