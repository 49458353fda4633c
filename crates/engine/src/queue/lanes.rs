//! The instances that take one model's work, and how busy each of them is.

use std::sync::Arc;

use super::lane::Lane;

/// Embedding calls that may be under way on one instance: one that computes and one that is prepared.
const BATCHES: usize = 2;

/// The instances that take one model's work.
#[derive(Default)]
pub(super) struct Lanes {
    places: Vec<Place>,
}

/// One of them, and what is under way on it.
pub(super) struct Place {
    lane: Arc<Lane>,
    batches: usize,
    replies: usize,
    /// Something that must be alone is under way.
    exclusive: bool,
}

/// What a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Inputs to embed: a short call.
    Batch,
    /// A reply to one prompt: a long one.
    Reply,
}

// === impl Lanes ===

impl Lanes {
    pub(super) fn add(&mut self, lane: Arc<Lane>) {
        self.places.push(Place {
            lane,
            batches: 0,
            replies: 0,
            exclusive: false,
        });
    }

    pub(super) fn remove(&mut self, lane: &Arc<Lane>) {
        self.places.retain(|place| !Arc::ptr_eq(&place.lane, lane));
    }

    /// The one with the fewest calls under way, whatever they are.
    pub(super) fn least_busy(&mut self) -> Option<&mut Place> {
        let places = self.places.iter_mut().filter(|place| !place.exclusive);
        places.min_by_key(|place| place.calls())
    }

    /// The least busy one that takes another batch; `reserved` takes nothing.
    pub(super) fn for_batch(&mut self, reserved: Option<&Arc<Lane>>) -> Option<&mut Place> {
        let places = self.open(reserved).filter(|place| place.batches < BATCHES);
        places.min_by_key(|place| (place.batches, place.replies))
    }

    /// The least busy one that takes another prompt, at most `limit` under way; `reserved` takes nothing.
    pub(super) fn for_chat(&mut self, reserved: Option<&Arc<Lane>>, limit: usize) -> Option<&mut Place> {
        let places = self.open(reserved).filter(|place| {
            let listed = place.lane.capabilities().max_batch as usize;
            place.replies < limit.min(listed).max(1)
        });
        places.min_by_key(|place| place.calls())
    }

    /// A call of this kind has ended. Nothing happens if its instance takes no work any more.
    pub(super) fn ended(&mut self, lane: &Arc<Lane>, kind: Kind) {
        if let Some(place) = self.place(lane) {
            match kind {
                Kind::Batch => place.batches -= 1,
                Kind::Reply => place.replies -= 1,
            }
            place.exclusive = false;
        }
    }

    /// What goes alone on this instance need no longer be alone.
    pub(super) fn share(&mut self, lane: &Arc<Lane>) {
        if let Some(place) = self.place(lane) {
            place.exclusive = false;
        }
    }

    fn open(&mut self, reserved: Option<&Arc<Lane>>) -> impl Iterator<Item = &mut Place> {
        let is_reserved = move |place: &Place| reserved.is_some_and(|lane| Arc::ptr_eq(lane, &place.lane));
        let places = self.places.iter_mut();
        places.filter(move |place| !place.exclusive && !is_reserved(place))
    }

    fn place(&mut self, lane: &Arc<Lane>) -> Option<&mut Place> {
        self.places.iter_mut().find(|place| Arc::ptr_eq(&place.lane, lane))
    }
}

// === impl Place ===

impl Place {
    pub(super) fn lane(&self) -> &Arc<Lane> {
        &self.lane
    }

    /// Calls under way.
    pub(super) fn calls(&self) -> usize {
        self.batches + self.replies
    }

    /// True if no batch is under way.
    pub(super) fn embeds_nothing(&self) -> bool {
        self.batches == 0
    }

    /// A call begins.
    pub(super) fn begin(&mut self, kind: Kind, alone: bool) {
        match kind {
            Kind::Batch => self.batches += 1,
            Kind::Reply => self.replies += 1,
        }
        self.exclusive = alone;
    }
}
