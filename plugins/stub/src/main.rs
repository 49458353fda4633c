//! `sensorium-stub`: a plugin without weights, for tests and for measuring the host alone.
//!
//! Its vectors, its replies and its images come from a hash of the input, so they are the same on every machine and in
//! every company. It costs next to nothing, takes as long as it is told to, and misbehaves on
//! request: see [`misbehaviour::Misbehaviour`], [`chat`], [`image`] and [`options::Options`].
#![forbid(unsafe_code)]

mod chat;
mod conduct;
mod hash;
mod image;
mod misbehaviour;
mod model;
mod options;
mod order;
mod plugin;

fn main() -> std::process::ExitCode {
    sensorium_contract::run(plugin::Stub)
}
