//! Plugin executable.
fn main() {}
