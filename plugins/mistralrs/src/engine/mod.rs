//! mistral.rs at work: who may go next, a sequence from its start to its end, and the death of the engine.

mod lane;
mod request;
mod run;
mod watch;

pub(crate) use lane::{Lane, LaneParams, Load};
pub(crate) use run::Engine;
pub(crate) use watch::{exit_with_engine, guarded, log_panics};
