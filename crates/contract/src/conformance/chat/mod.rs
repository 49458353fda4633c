//! What comes back from Chat, and what must not.

mod faults;
mod forms;
mod images;
mod replies;
mod request;
mod scheduling;
mod whole;

use super::bench::Bench;

pub(super) use self::request::{any, plain};
pub(super) use self::whole::Outcome;

pub(super) async fn check(bench: &mut Bench<'_>) {
    replies::check(bench).await;
    forms::check(bench).await;
    images::check(bench).await;
    faults::check(bench).await;
    scheduling::check(bench).await;
}
