//! Choices as server-sent events: each step as its frame writes it, then `[DONE]`.

use bytes::Bytes;
use futures::Stream;
use futures::stream;

use super::choices::{Choices, Step};
use crate::error::ApiError;
use crate::sse::done;
use crate::wire::usage::Usage;

/// Makes events of what choices do.
pub(crate) trait Frames {
    /// The event of a step; `None` if it says nothing.
    fn step(&mut self, index: usize, step: Step) -> Option<Bytes>;
    /// The last event, if there is one.
    fn end(&mut self, usage: Usage) -> Option<Bytes>;
}

/// Events of what `choices` do, as `frames` writes them.
pub(crate) fn events<F: Frames + 'static>(
    choices: Choices,
    frames: F,
) -> impl Stream<Item = Result<Bytes, ApiError>> + 'static {
    stream::unfold(Some((choices, frames)), |state| async move {
        let (mut choices, mut frames) = state?;
        loop {
            match choices.next().await {
                Some(Ok((index, step))) => {
                    if let Some(event) = frames.step(index, step) {
                        return Some((Ok(event), Some((choices, frames))));
                    }
                }
                Some(Err(error)) => return Some((Err(error), None)),
                None => {
                    let last = frames.end(choices.usage()).unwrap_or_default();
                    return Some((Ok(done(&last)), None));
                }
            }
        }
    })
}
