//! Wire messages to domain types and back. Every message from the other side passes
//! through here, so what the rest of the crate holds is valid.

mod capabilities;
mod chat;
mod embed;
mod health;
mod image;
mod load;
mod manifest;
mod pixels;
mod status;

pub(crate) use chat::{chat_event_from_wire, check_request};
pub(crate) use embed::{check_inputs, results_from_reply};
pub(crate) use image::image_event_from_wire;
pub(crate) use status::to_call_error;

use crate::Invalid;

/// The value of a message field that must be present.
fn required<T>(value: Option<T>, field: &'static str) -> Result<T, Invalid> {
    value.ok_or_else(|| Invalid::new(field, "is missing"))
}

/// An enum's number as the enum; what it doesn't know is refused, never guessed.
fn known<E: TryFrom<i32>>(number: i32, field: &'static str) -> Result<E, Invalid> {
    E::try_from(number).map_err(|_| unknown(number, field))
}

fn unknown(number: i32, field: &'static str) -> Invalid {
    Invalid::new(
        field,
        format!("has the value {number}, which this version doesn't know"),
    )
}
