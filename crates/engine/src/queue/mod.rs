//! One model's queue: requests wait as jobs, and leave in calls when an instance is free.
//!
//! A job is one request's inputs; its ticket the request's own end. `waiting` is what waits and
//! the rule by which it becomes a batch; [`streamed`] the same for prompts of chats and images, each of which goes by
//! itself and comes back as a stream. `pairing` is the rule that pairs what waits with `lanes`, the instances; [`Dispatcher`]
//! applies it whenever something changes; `call` sends one batch and decides what an error means for its members.

mod call;
mod dispatcher;
mod job;
mod lane;
mod lanes;
mod pairing;
mod streamed;
mod ticket;
mod waiting;

pub(crate) use dispatcher::{Dispatcher, QueueSettings};
pub(crate) use lane::{Lane, Trouble};
pub(crate) use streamed::{Reply, Streamed};
