//! The workspace's torch-sys under the number that diffusers 0.3 asks for.
pub use torch_sys_latest::*;
