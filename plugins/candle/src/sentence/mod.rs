//! What sentence-transformers adds to a text encoder: pooling, further modules, prompts and limits, read from the
//! repository's own files.

mod modules;
mod pooling;

pub(crate) use modules::{DenseActivation, SentenceConfig, Step};
pub(crate) use pooling::{PoolingMode, pool};
