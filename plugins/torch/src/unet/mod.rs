//! diffusers' `UNet2DConditionModel` (Rombach et al. 2022; Podell et al. 2023) as its configuration describes it.

mod blocks;
mod model;

pub use model::{Added, Unet, UnetInput};
