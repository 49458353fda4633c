//! Who has been let in: one slot a request, from before its inputs are fetched until it is answered.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::rate::Rate;

/// The slots of one model.
#[derive(Clone)]
pub(crate) struct Slots {
    shared: Arc<Shared>,
}

/// One slot; dropping it frees it.
pub(crate) struct Slot {
    slots: Slots,
    /// Its request got what it asked for.
    answered: AtomicBool,
}

struct Shared {
    occupancy: watch::Sender<Occupancy>,
    rate: Mutex<Rate>,
}

#[derive(Debug, Clone, Copy)]
struct Occupancy {
    taken: usize,
    /// When the last one was freed.
    idle_since: Instant,
}

// === impl Slots ===

impl Slots {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        let occupancy = watch::Sender::new(Occupancy {
            taken: 0,
            idle_since: now,
        });
        Self {
            shared: Arc::new(Shared {
                occupancy,
                rate: Mutex::new(Rate::new(now)),
            }),
        }
    }

    /// A slot, if fewer than `limit` are taken.
    pub(super) fn take(&self, limit: usize) -> Option<Slot> {
        let free = self.shared.occupancy.send_if_modified(|occupancy| {
            let free = occupancy.taken < limit;
            occupancy.taken += usize::from(free);
            free
        });
        free.then(|| Slot {
            slots: self.clone(),
            answered: AtomicBool::new(false),
        })
    }

    /// How long it takes until those who have slots are done, as far as can be told.
    pub(super) fn expected_wait(&self, now: Instant) -> Duration {
        let taken = self.shared.occupancy.borrow().taken;
        let rate = *self.shared.rate.lock().unwrap_or_else(PoisonError::into_inner);
        rate.time_for(taken, now)
    }

    /// For how long no slot has been taken; `None` if one is.
    pub(super) fn idle_for(&self, now: Instant) -> Option<Duration> {
        let occupancy = *self.shared.occupancy.borrow();
        (occupancy.taken == 0).then(|| now.saturating_duration_since(occupancy.idle_since))
    }

    /// Resolves when no slot is taken.
    pub(super) async fn all_free(&self) {
        // The sender is part of `self`, so the channel can't close.
        let _ = self
            .shared
            .occupancy
            .subscribe()
            .wait_for(|occupancy| occupancy.taken == 0)
            .await;
    }
}

// === impl Slot ===

impl Slot {
    /// The request got what it asked for: it counts towards how fast the model works. One that fails does not, or a
    /// model that fails at once would promise to be free soon.
    pub(crate) fn answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let now = Instant::now();
        if *self.answered.get_mut() {
            let mut rate = self.slots.shared.rate.lock().unwrap_or_else(PoisonError::into_inner);
            rate.record(now);
        }
        self.slots.shared.occupancy.send_modify(|occupancy| {
            occupancy.taken -= 1;
            occupancy.idle_since = now;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_answered_requests_say_how_fast_the_model_works() {
        let slots = Slots::new();
        for _ in 0..1000 {
            drop(slots.take(1));
        }
        let _waits = slots.take(2);
        assert_eq!(slots.expected_wait(Instant::now()), Duration::from_secs(30));
        for _ in 0..1000 {
            let slot = slots.take(2);
            slot.iter().for_each(Slot::answered);
        }
        assert_eq!(slots.expected_wait(Instant::now()), Duration::from_secs(1));
    }
}
