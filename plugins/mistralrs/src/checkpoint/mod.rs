//! A model's files: found, checked, copied to where mistral.rs reads them.

mod directory;
mod staging;
pub(crate) mod weights;

pub(crate) use directory::ModelDir;
pub(crate) use staging::Staging;
