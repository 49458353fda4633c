//! Idefics3's eye outside the engine, for CPUs.
//!
//! mistral.rs computes a vision tower's attention on a CPU in plain loops (attention/backends/cpu.rs), and its matrix
//! products at half of what the CPU can; of the 9 CPU-seconds that it takes until the first token of a reply about a
//! 512 × 512 image, 9 are the tower. It has no place where another tower could be put in: what would have to be
//! implemented (`Pipeline`, `MultimodalModel`, `InputsProcessor`) is private. But it reads files and images.
//!
//! So the engine is given a model whose tower hands on what its image holds, and images that hold what the real tower
//! makes of the picture: [`Tower`] computes that on our own kernels, [`Code`] writes it into a small picture's bytes, which
//! one convolution with powers of two as weights puts together again, and [`stage`] writes that convolution and the
//! configuration around it into the staging directory. Nothing is lost on the way but the last bit or two of an f32.

mod code;
mod eye;
mod recent;
mod spread;
mod stage;
pub(crate) mod tensors;
mod tower;

pub(crate) use code::TooLong;
pub(crate) use eye::Eye;
pub(crate) use stage::{Source, stage};

use code::Code;
use tower::Tower;
