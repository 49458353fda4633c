//! When a process that died is started again.

use std::time::Duration;

use crate::Supervision;

/// When a process that died is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Restart {
    /// At once.
    Now,
    /// After a pause.
    After(Duration),
    /// The breaker is open: one more try after this.
    Broken(Duration),
}

/// What to do after the `deaths`-th death (from 1) with no successful request since the first.
pub(super) fn restart(deaths: u32, supervision: &Supervision) -> Restart {
    if deaths >= supervision.breaker_deaths {
        return Restart::Broken(supervision.breaker_cooldown);
    }
    match deaths.checked_sub(2) {
        None => Restart::Now,
        Some(doublings) => {
            let pause = supervision.backoff_first.saturating_mul(2u32.saturating_pow(doublings));
            Restart::After(pause.min(supervision.backoff_max))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_restart_is_at_once_then_pauses_double_and_the_fifth_death_opens_the_breaker() {
        let second = Duration::from_secs(1);
        let rows = [
            (1, Restart::Now),
            (2, Restart::After(second)),
            (3, Restart::After(2 * second)),
            (4, Restart::After(4 * second)),
            (5, Restart::Broken(30 * second)),
            (6, Restart::Broken(30 * second)),
        ];
        for (deaths, expected) in rows {
            assert_eq!(
                restart(deaths, &Supervision::default()),
                expected,
                "after death {deaths}"
            );
        }
    }

    #[test]
    fn pauses_are_bounded() {
        let patient = Supervision {
            breaker_deaths: u32::MAX,
            ..Supervision::default()
        };
        for deaths in [8, 40, 4_000_000_000] {
            assert_eq!(
                restart(deaths, &patient),
                Restart::After(patient.backoff_max),
                "after death {deaths}"
            );
        }
    }
}
