//! A model's files: found, checked, copied to where mistral.rs reads them.

mod staging;
pub(crate) mod weights;

pub(crate) use sensorium_checkpoint::ModelDir;
pub(crate) use staging::Staging;
