//! Who may go next. The engine is never given more than it computes at once, so that nothing waits inside it: what
//! waits there can't be called off, and is computed anew without its images when it comes back.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

/// Tokens of the key-value cache are counted in these.
const BLOCK: u32 = 32;

/// The way into the engine, first come first served. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Lane(Arc<Shared>);

/// What an engine takes at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LaneParams {
    /// Sequences.
    pub(crate) sequences: u32,
    /// Tokens whose keys and values have room, where the room has a fixed size.
    pub(crate) kv_tokens: Option<u32>,
    /// Sequences with images and sequences without don't go together.
    pub(crate) separate: bool,
}

/// What a sequence takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Tokens of prompt and reply.
    pub(crate) tokens: u32,
    /// It has images.
    pub(crate) images: bool,
}

/// A place in the engine, until dropped.
#[derive(Debug)]
pub(crate) struct Place {
    shared: Arc<Shared>,
    blocks: u32,
    /// Its prompt is being read: no other is meanwhile, because a batch of prompts mixes up their images
    /// (qwen3_vl/mod.rs:500) or panics.
    reading: bool,
}

#[derive(Debug)]
struct Shared {
    params: LaneParams,
    /// All blocks there are.
    blocks: u32,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<(u64, Load)>,
    tickets: u64,
    running: u32,
    /// Whether what runs has images.
    images: bool,
    taken: u32,
    reading: bool,
}

/// A turn that has not come yet.
struct Ticket<'a> {
    shared: &'a Arc<Shared>,
    number: u64,
}

// === impl Lane ===

impl Lane {
    /// A lane into an engine that takes this.
    pub(crate) fn new(params: LaneParams) -> Self {
        Self(Arc::new(Shared {
            params,
            blocks: params.kv_tokens.map_or(u32::MAX, |tokens| (tokens / BLOCK).max(1)),
            state: Mutex::default(),
            changed: Notify::new(),
        }))
    }

    /// Waits for a place; dropping the future gives the turn up.
    pub(crate) async fn enter(&self, load: Load) -> Place {
        let ticket = self.0.queue(load);
        loop {
            let changed = self.0.changed.notified();
            if let Some(place) = ticket.admit(load) {
                return place;
            }
            changed.await;
        }
    }

    /// Share of the keys' and values' room that is taken, where it has a fixed size.
    pub(crate) fn kv_usage(&self) -> Option<f32> {
        self.0.params.kv_tokens?;
        Some(self.0.state().taken as f32 / self.0.blocks as f32)
    }
}

// === impl Shared ===

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(self: &Arc<Self>, load: Load) -> Ticket<'_> {
        let mut state = self.state();
        let number = state.tickets;
        state.tickets += 1;
        state.waiting.push_back((number, load));
        Ticket { shared: self, number }
    }

    /// Blocks of a sequence: whole ones, and the one that the engine allocates ahead.
    fn blocks_of(&self, load: Load) -> u32 {
        (load.tokens.div_ceil(BLOCK) + 1).min(self.blocks)
    }
}

// === impl Ticket ===

impl Ticket<'_> {
    /// A place, if it is this one's turn and there is one.
    fn admit(&self, load: Load) -> Option<Place> {
        let shared = self.shared;
        let mut state = shared.state();
        let blocks = shared.blocks_of(load);
        let first = state.waiting.front().is_some_and(|(number, _)| *number == self.number);
        let kind = !shared.params.separate || state.running == 0 || state.images == load.images;
        let room = state.running < shared.params.sequences && blocks <= shared.blocks - state.taken;
        if !first || state.reading || !kind || !room {
            return None;
        }
        state.waiting.pop_front();
        state.running += 1;
        state.images = load.images;
        state.taken += blocks;
        state.reading = true;
        Some(Place {
            shared: shared.clone(),
            blocks,
            reading: true,
        })
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.shared.state().waiting.retain(|(number, _)| *number != self.number);
        self.shared.changed.notify_waiters();
    }
}

// === impl Place ===

impl Place {
    /// Its prompt has been read: another may be.
    pub(crate) fn read(&mut self) {
        if std::mem::take(&mut self.reading) {
            self.shared.state().reading = false;
            self.shared.changed.notify_waiters();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.read();
        let mut state = self.shared.state();
        state.running -= 1;
        state.taken -= self.blocks;
        drop(state);
        self.shared.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::*;

    const TEXT: Load = Load {
        tokens: 100,
        images: false,
    };

    /// A place if there is one now.
    async fn now(lane: &Lane, load: Load) -> Option<Place> {
        let mut entering = Box::pin(lane.enter(load));
        std::future::poll_fn(|context| match entering.as_mut().poll(context) {
            Poll::Ready(place) => Poll::Ready(Some(place)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    fn lane(sequences: u32, kv_tokens: Option<u32>, separate: bool) -> Lane {
        Lane::new(LaneParams {
            sequences,
            kv_tokens,
            separate,
        })
    }

    #[tokio::test]
    async fn one_prompt_is_read_at_a_time() {
        let lane = lane(2, None, false);
        let mut first = now(&lane, TEXT).await.expect("it is free");
        assert!(now(&lane, TEXT).await.is_none(), "a prompt is being read");
        first.read();
        let mut second = now(&lane, TEXT).await.expect("the prompt has been read");
        second.read();
        assert!(now(&lane, TEXT).await.is_none(), "there is room for two");
        drop(first);
        assert!(now(&lane, TEXT).await.is_some());
        assert_eq!(lane.kv_usage(), None);
    }

    #[tokio::test]
    async fn keys_and_values_have_room() {
        let lane = lane(8, Some(320), false);
        let mut first = now(&lane, Load { tokens: 160, ..TEXT }).await.expect("it is free");
        first.read();
        assert_eq!(lane.kv_usage(), Some(0.6));
        assert!(
            now(&lane, Load { tokens: 160, ..TEXT }).await.is_none(),
            "there is no room for both"
        );
        drop(first);
        let all = now(
            &lane,
            Load {
                tokens: 1_000_000,
                ..TEXT
            },
        )
        .await;
        assert!(all.is_some());
        assert_eq!(lane.kv_usage(), Some(1.0));
    }

    #[tokio::test]
    async fn images_go_apart_where_they_must() {
        let lane = lane(8, None, true);
        let images = Load { images: true, ..TEXT };
        let mut first = now(&lane, images).await.expect("it is free");
        first.read();
        assert!(now(&lane, TEXT).await.is_none());
        let mut second = now(&lane, images).await.expect("they go together");
        second.read();
        drop((first, second));
        assert!(now(&lane, TEXT).await.is_some());
    }

    #[tokio::test]
    async fn turns_come_in_order_and_can_be_given_up() {
        let lane = lane(1, None, false);
        let place = now(&lane, TEXT).await.expect("it is free");
        let mut second = Box::pin(lane.enter(TEXT));
        let third = tokio::spawn({
            let lane = lane.clone();
            async move { drop(lane.enter(TEXT).await) }
        });
        let waits = std::future::poll_fn(|context| Poll::Ready(second.as_mut().poll(context).is_pending())).await;
        assert!(waits);
        drop(second);
        drop(place);
        third.await.expect("the third comes after the second has gone");
    }
}
