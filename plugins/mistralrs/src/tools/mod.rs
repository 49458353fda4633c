//! Calls of tools and replies of a given form: how models write calls, how calls are read from a reply, and the
//! grammars that keep a reply to JSON, to a schema or to a call.

mod body;
mod bounds;
mod compile;
mod disjoint;
mod format;
mod formats;
mod grammar;
mod guide;
mod json_end;
mod names;
mod plan;
mod pointer;
mod schema;
mod stream;
mod walk;
mod xml;

#[cfg(test)]
mod random_schemas;
#[cfg(test)]
mod validate;

pub(crate) use body::{Callable, Called};
pub(crate) use compile::Grammars;
pub(crate) use format::{MARKERS, Syntax, ToolFormat};
pub(crate) use guide::{Guide, Mask};
pub(crate) use plan::{Means, Plan, plan};
pub(crate) use schema::SchemaError;
pub(crate) use stream::{Parsed, ToolStream};
