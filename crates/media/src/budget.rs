//! Memory reserved before it is allocated, so that many large pictures at once wait instead of piling up.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::MediaError;

/// Bytes that something may hold, over all requests. Cloning shares it.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    kibibytes: Arc<Semaphore>,
    total: u32,
}

/// Bytes that are taken; given back on drop.
#[derive(Debug)]
#[must_use]
pub struct Reservation {
    permit: OwnedSemaphorePermit,
}

// === impl Budget ===

impl Budget {
    pub(crate) fn new(bytes: u64) -> Self {
        let total = kibibytes(bytes).max(1);
        Self {
            kibibytes: Arc::new(Semaphore::new(total as usize)),
            total,
        }
    }

    /// The whole budget, in bytes.
    pub(crate) fn total_bytes(&self) -> u64 {
        u64::from(self.total) << 10
    }

    /// Takes `bytes`, or the whole budget if that is less, at once or not at all. Nobody overtakes who waits.
    pub(crate) fn try_reserve(&self, bytes: u64) -> Option<Reservation> {
        let permit = self.kibibytes.clone().try_acquire_many_owned(self.clamp(bytes)).ok()?;
        Some(Reservation { permit })
    }

    /// Waits for it, first come first served.
    pub(crate) async fn reserve(&self, bytes: u64) -> Result<Reservation, MediaError> {
        let permit = self.kibibytes.clone().acquire_many_owned(self.clamp(bytes)).await;
        permit
            .map(|permit| Reservation { permit })
            .map_err(|_| MediaError::Stopped)
    }

    fn clamp(&self, bytes: u64) -> u32 {
        kibibytes(bytes).min(self.total)
    }
}

// === impl Reservation ===

impl Reservation {
    /// Gives back all but `bytes`, where it turned out that fewer are needed.
    pub fn shrink_to(&mut self, bytes: u64) {
        let keep = kibibytes(bytes) as usize;
        let surplus = self.permit.num_permits().saturating_sub(keep);
        drop(self.permit.split(surplus));
    }
}

fn kibibytes(bytes: u64) -> u32 {
    // 4 TiB is plenty; tokio's semaphores hold more than this.
    u32::try_from(bytes.div_ceil(1 << 10))
        .unwrap_or(u32::MAX >> 3)
        .min(u32::MAX >> 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_reserved_is_not_there_for_others() {
        let budget = Budget::new(10 << 10);
        let mut first = budget.reserve(8 << 10).await.unwrap();
        assert!(budget.try_reserve(4 << 10).is_none());
        first.shrink_to(6 << 10);
        let second = budget.try_reserve(4 << 10).unwrap();
        assert!(budget.try_reserve(1).is_none());
        drop((first, second));
        // More than there is means all of it, alone.
        let all = budget.try_reserve(u64::MAX).unwrap();
        assert!(budget.try_reserve(1).is_none());
        drop(all);
        assert_eq!(budget.total_bytes(), 10 << 10);
    }
}
