//! The workspace's tch under the number that diffusers 0.3 asks for.
pub use tch_latest::*;
