//! A model's directory on disk, as plugins read it: files from inside it only, each read with a limit, and each of them
//! part of the revision that names the model in caches.
//!
//! [`ModelDir`] is the directory. Beside it lies what plugins do alike with its files whatever library computes the model:
//! [`shards`] of a checkpoint, [`clip_tokenizer`] out of vocabulary files, and [`encode_head`], which keeps long texts
//! from costing more than a model reads. No library of models is linked here.
#![forbid(unsafe_code)]

mod clip_tokenizer;
mod directory;
mod error;
mod head;
mod revision;
mod shards;

pub use clip_tokenizer::{added_token, clip_tokenizer};
pub use directory::ModelDir;
pub use error::FileError;
pub use head::{HeadIds, encode_head};
pub use shards::shards;
