//! The way to one process: what the dispatcher sends batches down, and how its supervisor hears what became of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use sensorium_contract::client::PluginClient;
use sensorium_contract::{Batching, Capabilities};
use tokio::sync::watch;

/// Consecutive calls that failed by the instance's own fault before it is taken for poisoned (a sticky CUDA error,
/// say) and replaced.
const MAX_FAULTS: u32 = 2;

/// The way to one running process of a model.
pub(crate) struct Lane {
    client: PluginClient,
    capabilities: Arc<Capabilities>,
    /// Calls in a row that failed by the instance's fault.
    faults: AtomicU32,
    /// Deaths of the instance since its last successful call; shared with its supervisor, and outlives the process.
    deaths: Arc<AtomicU32>,
    trouble: watch::Sender<Option<Trouble>>,
    /// Calls under way, for those who wait until there are none.
    outstanding: watch::Sender<usize>,
    /// Calls that were answered, well or badly.
    answered: AtomicU64,
}

/// Why a process should be replaced, as its calls tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The connection broke: it is dead, or as good as.
    Disconnected(String),
    /// Too many calls in a row failed by its own fault.
    Faults(String),
}

// === impl Lane ===

impl Lane {
    pub(crate) fn new(client: PluginClient, capabilities: Arc<Capabilities>, deaths: Arc<AtomicU32>) -> Arc<Lane> {
        Arc::new(Lane {
            client,
            capabilities,
            faults: AtomicU32::new(0),
            deaths,
            trouble: watch::Sender::new(None),
            outstanding: watch::Sender::new(0),
            answered: AtomicU64::new(0),
        })
    }

    pub(super) fn client(&self) -> &PluginClient {
        &self.client
    }

    pub(super) fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Calls that may be under way at once: one computing and one prepared, unless the plugin schedules them itself.
    pub(super) fn depth(&self) -> usize {
        match self.capabilities.batching {
            Batching::Host => 2,
            Batching::Plugin => usize::MAX,
        }
    }

    /// Calls under way.
    pub(crate) fn outstanding(&self) -> usize {
        *self.outstanding.borrow()
    }

    /// Calls that were answered, well or badly, since the process started.
    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    pub(super) fn call_answered(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    /// Resolves when no call is under way.
    pub(crate) async fn idle(&self) {
        // The sender is `self`, so the channel can't close.
        let _ = self.outstanding.subscribe().wait_for(|&calls| calls == 0).await;
    }

    /// Resolves when a call is under way.
    pub(crate) async fn busy(&self) {
        let _ = self.outstanding.subscribe().wait_for(|&calls| calls > 0).await;
    }

    pub(super) fn call_started(&self) {
        self.outstanding.send_modify(|calls| *calls += 1);
    }

    pub(super) fn call_ended(&self) {
        self.outstanding.send_modify(|calls| *calls -= 1);
    }

    /// A call was answered: whatever was wrong with the instance is over.
    pub(super) fn succeeded(&self) {
        self.faults.store(0, Ordering::Relaxed);
        self.deaths.store(0, Ordering::Relaxed);
    }

    /// A call failed by the instance's fault. True if it is to be replaced.
    pub(super) fn faulted(&self, message: &str) -> bool {
        let poisoned = self.faults.fetch_add(1, Ordering::Relaxed) + 1 >= MAX_FAULTS;
        if poisoned {
            self.report(Trouble::Faults(message.to_owned()));
        }
        poisoned
    }

    /// A call's connection broke.
    pub(super) fn disconnected(&self, message: &str) {
        self.report(Trouble::Disconnected(message.to_owned()));
    }

    /// Resolves when the process should be replaced.
    pub(crate) async fn trouble(&self) -> Trouble {
        let mut trouble = self.trouble.subscribe();
        loop {
            if let Some(trouble) = trouble.borrow_and_update().clone() {
                return trouble;
            }
            // The sender is `self`, so the channel can't close.
            let _ = trouble.changed().await;
        }
    }

    /// The first trouble counts; what follows from it doesn't.
    fn report(&self, trouble: Trouble) {
        self.trouble.send_if_modified(|known| {
            let first = known.is_none();
            known.get_or_insert(trouble);
            first
        });
    }
}
