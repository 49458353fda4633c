//! How fast a model has been working lately, for an honest Retry-After.

use std::time::{Duration, Instant};

/// Requests answered lately, older ones counting less: each counts 1/e after this long.
const MEMORY: Duration = Duration::from_secs(10);

/// What a client is told at least, and at most.
const BOUNDS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// A decaying count of requests that were answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    count: f64,
    at: Instant,
}

// === impl Rate ===

impl Rate {
    pub(super) fn new(now: Instant) -> Self {
        Self { count: 0.0, at: now }
    }

    /// One more has been answered.
    pub(super) fn record(&mut self, now: Instant) {
        self.count = self.decayed(now) + 1.0;
        self.at = now;
    }

    /// How long `requests` will take at this rate: between 1 s and 30 s.
    pub(super) fn time_for(&self, requests: usize, now: Instant) -> Duration {
        let per_second = self.decayed(now) / MEMORY.as_secs_f64();
        let seconds = requests as f64 / per_second.max(f64::MIN_POSITIVE);
        Duration::from_secs_f64(seconds.clamp(BOUNDS.0.as_secs_f64(), BOUNDS.1.as_secs_f64()))
    }

    fn decayed(&self, now: Instant) -> f64 {
        let age = now.saturating_duration_since(self.at).as_secs_f64();
        self.count * (-age / MEMORY.as_secs_f64()).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_follows_from_the_rate_within_its_bounds() {
        let start = Instant::now();
        let mut rate = Rate::new(start);
        assert_eq!(rate.time_for(1, start), BOUNDS.1, "nothing has ever finished");
        let mut now = start;
        for _ in 0..1_000 {
            now += Duration::from_millis(100);
            rate.record(now);
        }
        for (requests, seconds) in [(1, 1.0), (100, 10.0), (10_000, 30.0)] {
            let estimate = rate.time_for(requests, now).as_secs_f64();
            assert!(
                (estimate - seconds).abs() < 0.2,
                "{requests} requests at 10/s: {estimate} s"
            );
        }
        assert_eq!(
            rate.time_for(100, now + Duration::from_secs(600)),
            BOUNDS.1,
            "long idle"
        );
    }
}
