//! Chat requests in a model's queue: each waits for a place of its own on an instance, and is a stream from there on.
//!
//! A job is one prompt; its ticket the request's own end, which becomes a reply once the
//! prompt has been read. [`Turns`] is what waits; `call` reads one reply from an instance and
//! decides what an error means for it.

mod call;
mod job;
mod ticket;
mod turns;

pub(super) use call::run;
pub(super) use job::ChatJob;
pub(crate) use ticket::{ChatTicket, Reply};
pub(super) use turns::{Attempt, Turn, Turns};
