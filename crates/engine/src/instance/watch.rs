//! Notices that a process has gone wrong: by what becomes of its calls, never by pings of an idle one.

use std::time::{Duration, Instant};

use sensorium_contract::Health;
use sensorium_contract::client::PluginClient;
use sensorium_contract::process::PluginProcess;

use crate::queue::{Lane, Trouble};
use crate::{RestartCause, Supervision};

/// Why a process has to be replaced.
#[derive(Debug)]
pub(super) enum Death {
    /// It exited, or was killed by somebody else.
    Exited(String),
    /// Its calls failed by its own fault.
    Faults(String),
    /// It had work and made no headway for so long.
    Stalled(Duration),
    /// It never became ready.
    Load(String),
}

/// A number that should grow, and since when it hasn't.
struct Standing {
    value: u64,
    since: Instant,
}

/// How long a process whose connection broke is given to be seen dead.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How often a busy process is asked for its progress, at most and at least.
const TICK: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// Looks at the progress within the time that makes a stall.
const LOOKS: u32 = 10;

/// Resolves when the process has to be replaced. While it is busy `seen` hears what it says of itself.
pub(super) async fn watch(
    process: &PluginProcess,
    lane: &Lane,
    supervision: &Supervision,
    seen: impl Fn(&Health),
) -> Death {
    let client = process.client();
    tokio::select! {
        cause = process.exited() => Death::Exited(cause.to_string()),
        trouble = lane.trouble() => match trouble {
            Trouble::Faults(message) => Death::Faults(message),
            Trouble::Disconnected(message) => Death::Exited(last_words(process).await.unwrap_or(message)),
        },
        time = stalled(&client, lane, supervision, seen) => Death::Stalled(time),
    }
}

/// How a process died, if it did just now.
pub(super) async fn last_words(process: &PluginProcess) -> Option<String> {
    tokio::time::timeout(LAST_WORDS, process.exited())
        .await
        .ok()
        .map(|cause| cause.to_string())
}

/// Resolves when there has been work and, for as long as `stall`, no progress — or, for as long as `call_limit`, no
/// answer. Calls whose answers nobody reads are no work.
async fn stalled(client: &PluginClient, lane: &Lane, supervision: &Supervision, seen: impl Fn(&Health)) -> Duration {
    let tick = (supervision.stall / LOOKS).clamp(TICK.0, TICK.1);
    // Calls that the host has given up may still keep the process busy.
    let mut left_behind = false;
    let (mut progress, mut answer) = (Standing::new(0), Standing::new(0));
    loop {
        if lane.outstanding() == 0 && !left_behind {
            lane.busy().await;
            progress.reset();
            answer.reset();
        }
        tokio::time::sleep(tick).await;
        // No reply is no progress.
        if let Ok(Ok(health)) = tokio::time::timeout(tick, client.health()).await {
            left_behind = health.running > 0;
            progress.see(health.progress);
            seen(&health);
        }
        answer.see(lane.answered());
        if lane.is_unread() {
            progress.reset();
            answer.reset();
        }
        for (standing, limit) in [(&progress, supervision.stall), (&answer, supervision.call_limit)] {
            if standing.since.elapsed() >= limit {
                return limit;
            }
        }
    }
}

// === impl Standing ===

impl Standing {
    fn new(value: u64) -> Self {
        Self {
            value,
            since: Instant::now(),
        }
    }

    fn see(&mut self, value: u64) {
        if self.value != value {
            *self = Self::new(value);
        }
    }

    fn reset(&mut self) {
        self.since = Instant::now();
    }
}

// === impl Death ===

impl Death {
    /// What metrics call it.
    pub(super) fn cause(&self) -> RestartCause {
        match self {
            Death::Exited(_) => RestartCause::Crash,
            Death::Faults(_) => RestartCause::Errors,
            Death::Stalled(_) => RestartCause::Stall,
            Death::Load(_) => RestartCause::Start,
        }
    }
}

impl std::fmt::Display for Death {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Death::Exited(cause) => write!(f, "its process ended: {cause}"),
            Death::Faults(message) => write!(f, "its process failed repeatedly: {message}"),
            Death::Stalled(time) => write!(f, "its process made no headway for {time:?}"),
            Death::Load(reason) => write!(f, "it could not be loaded: {reason}"),
        }
    }
}
