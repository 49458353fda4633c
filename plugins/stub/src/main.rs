//! `sensorium-stub`: a plugin without weights, for tests and for measuring the host alone.
//!
//! Its vectors and its replies come from a hash of the input, so they are the same on every machine and in
//! every company. It costs next to nothing, takes as long as it is told to, and misbehaves on
//! request: see [`misbehaviour::Misbehaviour`], [`chat`] and [`options::Options`].
#![forbid(unsafe_code)]

mod chat;
mod hash;
mod misbehaviour;
mod model;
mod options;
mod plugin;

fn main() -> std::process::ExitCode {
    sensorium_contract::run(plugin::Stub)
}
