//! What comes back from Imagine, and what must not.

mod faults;
mod making;
mod request;
mod scheduling;
mod whole;

use super::bench::Bench;

pub(super) use self::request::{any, plain};
pub(super) use self::whole::Outcome;

pub(super) async fn check(bench: &mut Bench<'_>) {
    making::check(bench).await;
    making::from_images(bench).await;
    faults::check(bench).await;
    scheduling::check(bench).await;
}
