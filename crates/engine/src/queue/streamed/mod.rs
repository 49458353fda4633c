//! Requests whose replies are streamed, in a model's queue: each waits for a place of its own on an instance, and is a
//! stream from there on.
//!
//! A job is one prompt, whatever is made of it; its ticket the request's own end, which becomes a reply once the
//! prompt has been read. [`Turns`] is what waits; `call` reads one reply from an instance and
//! decides what an error means for it. What chats and images differ in is [`Streamed`].

mod call;
mod job;
mod task;
mod ticket;
mod turns;

pub(super) use job::{QueuedJob, StreamJob};
pub(crate) use task::Streamed;
pub(crate) use ticket::{Reply, Ticket};
pub(super) use turns::{Attempt, Turn, Turns};
