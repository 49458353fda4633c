//! What the pipeline's JSON files say: every field is either obeyed or refused by name.

mod clip;
mod fields;
mod index;
mod unet;
mod vae;

pub(crate) use clip::{ClipTextConfig, EndOfText};
pub(crate) use fields::{Fields, OneOrMany};
pub(crate) use index::{Family, PIPELINES, PipelineIndex};
pub(crate) use unet::{AddedConditions, UnetConfig};
pub(crate) use vae::VaeConfig;
