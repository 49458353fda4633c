//! What a model's files say: its architecture, how it reads images, its tokenizer and its end tokens; and how it is
//! loaded into mistral.rs.

mod architecture;
mod codec;
mod config;
mod facts;
mod families;
mod files;
mod load;
mod numbers;
mod parts;
mod raw_pixels;
mod resize;
mod smart;
mod vision;

pub(crate) use architecture::CLAIMED;
pub(crate) use codec::Codec;
pub(crate) use files::special;
pub(crate) use load::{Loaded, load};
pub(crate) use numbers::Numbers;
pub(crate) use vision::{Pixels, Vision};
