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
    /// Prompts that are being read.
    prompts: usize,
    /// Replies that have begun.
    replies: usize,
    /// Something that must be alone is under way: nothing else is sent meanwhile.
    exclusive: bool,
}

/// A call, as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Inputs to embed.
    Batch,
    /// A prompt that is being read.
    Prompt,
    /// A reply that has begun.
    Reply,
}

// === impl Lanes ===

impl Lanes {
    pub(super) fn add(&mut self, lane: Arc<Lane>) {
        self.places.push(Place {
            lane,
            batches: 0,
            prompts: 0,
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
        places.min_by_key(|place| (place.batches, place.calls()))
    }

    /// The least busy one that takes another prompt, with at most `limit` of them under way; `reserved` takes nothing.
    pub(super) fn for_stream(&mut self, reserved: Option<&Arc<Lane>>, limit: usize) -> Option<&mut Place> {
        let places = self.open(reserved).filter(|place| place.has_room(limit));
        places.min_by_key(|place| place.calls())
    }

    /// A prompt has been read: its reply begins. If it had to go alone, it has done no harm, and others may join it.
    pub(super) fn opened(&mut self, lane: &Arc<Lane>, alone: bool) {
        if let Some(place) = self.place(lane) {
            place.prompts -= 1;
            place.replies += 1;
            place.exclusive &= !alone;
        }
    }

    /// A call has ended, that went `alone` or not. Nothing happens if its instance takes no work any more.
    pub(super) fn ended(&mut self, lane: &Arc<Lane>, kind: Kind, alone: bool) {
        let Some(place) = self.place(lane) else { return };
        match kind {
            Kind::Batch => place.batches -= 1,
            Kind::Prompt => place.prompts -= 1,
            Kind::Reply => place.replies -= 1,
        }
        if kind != Kind::Reply {
            place.exclusive &= !alone;
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
        self.batches + self.prompts + self.replies
    }

    /// True if no batch is under way.
    pub(super) fn embeds_nothing(&self) -> bool {
        self.batches == 0
    }

    /// True if nothing is under way but replies that have begun.
    pub(super) fn reads_nothing(&self) -> bool {
        self.batches + self.prompts == 0
    }

    /// True if another prompt may be sent, with at most `limit` of them under way.
    pub(super) fn has_room(&self, limit: usize) -> bool {
        let listed = self.lane.capabilities().max_batch as usize;
        self.prompts + self.replies < limit.min(listed).max(1)
    }

    /// A batch or a prompt is sent.
    pub(super) fn begin(&mut self, kind: Kind, alone: bool) {
        match kind {
            Kind::Batch => self.batches += 1,
            Kind::Prompt => self.prompts += 1,
            Kind::Reply => self.replies += 1,
        }
        self.exclusive = alone;
    }
}
