//! The chat task's requests and events, on the wire and off it.

mod check;
mod conversation;
mod event;
mod request;
#[cfg(test)]
mod tests;
mod tools;

pub(crate) use check::check_request;
pub(crate) use event::chat_event_from_wire;

use crate::Invalid;

fn json(text: &str, field: &'static str) -> Result<serde_json::Value, Invalid> {
    serde_json::from_str(text).map_err(|error| Invalid::new(field, format!("is not JSON: {error}")))
}
