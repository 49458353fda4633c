//! The crate from outside: one binary, so that it links once.

// Helpers outside of `#[test]` functions unwrap too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod facade;
mod fetch;
mod hostile;
mod parity;
mod support;
