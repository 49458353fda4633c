//! The way to one process: what the dispatcher sends calls down, and how its supervisor hears what became of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use sensorium_contract::Capabilities;
use sensorium_contract::client::PluginClient;
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
    /// Answers to calls, good or bad; each event of a reply is one.
    answered: AtomicU64,
    /// Calls whose reply is read no further until whoever asked has taken what there is.
    unread: AtomicUsize,
}

/// A call whose reply waits for its reader, until this is dropped.
pub(super) struct ReaderWaits<'a>(&'a AtomicUsize);

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
            unread: AtomicUsize::new(0),
        })
    }

    pub(super) fn client(&self) -> &PluginClient {
        &self.client
    }

    pub(super) fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Calls under way.
    pub(crate) fn outstanding(&self) -> usize {
        *self.outstanding.borrow()
    }

    /// Answers to calls since the process started, good or bad; each event of a reply is one.
    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// True if whoever asked has to read before any call under way can go on: what stands still then is not the
    /// instance.
    pub(crate) fn is_unread(&self) -> bool {
        let calls = self.outstanding();
        calls > 0 && self.unread.load(Ordering::Relaxed) >= calls
    }

    /// A call's reply waits for its reader from now on.
    pub(super) fn reader_waits(&self) -> ReaderWaits<'_> {
        self.unread.fetch_add(1, Ordering::Relaxed);
        ReaderWaits(&self.unread)
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

// === impl ReaderWaits ===

impl Drop for ReaderWaits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
