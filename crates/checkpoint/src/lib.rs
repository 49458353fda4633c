//! A model's directory on disk, as plugins read it: files from inside it only, each read with a limit, and each of them
//! part of the revision that names the model in caches.
//!
//! [`ModelDir`] is the directory. No library of models is linked here.
#![forbid(unsafe_code)]

mod directory;
mod error;
mod revision;

pub use directory::ModelDir;
pub use error::FileError;
