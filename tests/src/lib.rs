//! Whole-system tests: the rules of the house in `rust/`, real clients in `clients/`.
#![forbid(unsafe_code)]
