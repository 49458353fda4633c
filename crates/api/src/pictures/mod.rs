//! Images between the wire and the engine: what the model can do, the image to begin with, the making of them, which of
//! them are best, and as what they are handed out.

pub(crate) mod begin;
pub(crate) mod init;
pub(crate) mod making;
pub(crate) mod plan;
pub(crate) mod rank;
pub(crate) mod refusal;
pub(crate) mod sheet;
pub(crate) mod stream;
