//! How patient the engine is with a plugin's process.

use std::time::Duration;

/// How patient the engine is with a plugin's process. The defaults are what a server wants; tests are less patient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supervision {
    /// From starting a process to its socket answering.
    pub start_timeout: Duration,
    /// From asking for a model to its having answered a real tiny request.
    pub load_timeout: Duration,
    /// How long calls may be under way with no progress before the process is killed.
    pub stall: Duration,
    /// How long calls may be under way, whatever progress they make, with none answered before it is killed.
    pub call_limit: Duration,
    /// Wait before the second restart in a row; the first is at once. Doubles each time.
    pub backoff_first: Duration,
    /// Longest wait before a restart.
    pub backoff_max: Duration,
    /// Deaths with no successful request between them that open the breaker.
    pub breaker_deaths: u32,
    /// How long an open breaker stays open before one more try.
    pub breaker_cooldown: Duration,
    /// How long a model that can't be loaded is left alone before a request tries again.
    pub failed_cooldown: Duration,
}

// === impl Supervision ===

impl Default for Supervision {
    fn default() -> Self {
        Self {
            start_timeout: Duration::from_secs(30),
            load_timeout: Duration::from_secs(15 * 60),
            stall: Duration::from_secs(30),
            call_limit: Duration::from_secs(10 * 60),
            backoff_first: Duration::from_secs(1),
            backoff_max: Duration::from_secs(30),
            breaker_deaths: 5,
            breaker_cooldown: Duration::from_secs(30),
            failed_cooldown: Duration::from_secs(30),
        }
    }
}
