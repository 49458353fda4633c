//! CLIP-like towers and text embedders on candle, with CPU kernels of our own where big matrices count.

pub mod kernels;
pub mod nn;
