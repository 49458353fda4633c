//! One model's queue: requests wait as jobs, and leave in batches when an instance is free.
//!
//! A job is one request's inputs; its ticket the request's own end. `waiting` is what waits and
//! the rule by which it becomes a batch; [`Dispatcher`] knows the instances' lanes and
//! pairs the two; `call` sends one batch and decides what an error means for its members.

mod call;
mod dispatcher;
mod job;
mod lane;
mod ticket;
mod waiting;

pub(crate) use dispatcher::{Dispatcher, QueueSettings};
pub(crate) use lane::{Lane, Trouble};
