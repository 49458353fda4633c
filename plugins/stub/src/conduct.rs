//! How a model whose replies are streamed behaves: as long as it is told to take, or as badly.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sensorium_contract::{ChatReply, Gone, ImageReply, PluginError, RefusalCode, Refused};

use crate::misbehaviour::Misbehaviour;
use crate::order::{Order, What};

/// How a model behaves, and how it has.
#[derive(Debug)]
pub(crate) struct Conduct {
    allow_misbehaviour: bool,
    /// What a refusal is about.
    field: &'static str,
    /// Every call fails from now on.
    poisoned: AtomicBool,
    /// No call makes headway from now on.
    hung: AtomicBool,
    /// The model is gone.
    gone: AtomicBool,
    hoard: Mutex<Vec<Vec<u8>>>,
}

/// Why a reply ends before it is whole.
pub(crate) enum End {
    /// Nobody waits for it any more.
    Gone,
    /// Without a word to anybody.
    Dropped,
    /// The caller is to blame.
    Refused(Refused),
    /// Somebody else is.
    Failed(PluginError),
}

/// A reply that somebody waits for, or doesn't.
pub(crate) trait Awaited: Sync {
    /// True once nobody does.
    fn is_cancelled(&self) -> bool;

    /// Resolves once nobody does.
    fn cancelled(&self) -> impl Future<Output = ()> + Send;
}

// === impl Conduct ===

impl Conduct {
    /// A model that does as a prompt says, if it is allowed to. What it refuses is about `field`.
    pub(crate) fn new(allow_misbehaviour: bool, field: &'static str) -> Self {
        Self {
            allow_misbehaviour,
            field,
            poisoned: AtomicBool::new(false),
            hung: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            hoard: Mutex::default(),
        }
    }

    /// What a prompt tells it to do.
    pub(crate) fn order(&self, text: &str) -> Option<Order> {
        Order::from_text(text).filter(|_| self.allow_misbehaviour)
    }

    /// Replies end with their model, as those of an engine would.
    pub(crate) fn end(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    /// Does what it has been told to do at this moment: after so many tokens or steps, or before the reply begins.
    pub(crate) async fn obey(&self, order: Option<&Order>, now: Option<u32>, reply: &impl Awaited) -> Result<(), End> {
        if self.poisoned.load(Ordering::Relaxed) {
            return Err(End::Failed(PluginError::instance("poisoned, as told")));
        }
        let Some(order) = order.filter(|order| order.at == now) else {
            return Ok(());
        };
        match &order.what {
            What::Say(_) => Ok(()),
            What::Drop => Err(End::Dropped),
            What::Refuse(code) => Err(self.told_to_refuse(*code)),
            What::Misbehave(Misbehaviour::Item(_)) => Err(self.told_to_refuse(RefusalCode::InvalidInput)),
            What::Misbehave(Misbehaviour::Sleep(duration)) => self.work(*duration, reply).await,
            What::Misbehave(Misbehaviour::Hang) => {
                self.hung.store(true, Ordering::Relaxed);
                self.work(Duration::ZERO, reply).await
            }
            What::Misbehave(Misbehaviour::Poison) => {
                self.poisoned.store(true, Ordering::Relaxed);
                Err(End::Failed(PluginError::instance("poisoned, as told")))
            }
            What::Misbehave(other) => {
                let mut hoard = self.hoard.lock().unwrap_or_else(PoisonError::into_inner);
                other.act(&Default::default(), &mut hoard).map_err(End::Failed)
            }
        }
    }

    /// Takes so long, but no longer than somebody waits for the reply; for ever if it hangs.
    pub(crate) async fn work(&self, duration: Duration, reply: &impl Awaited) -> Result<(), End> {
        if self.hung.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        if self.gone.load(Ordering::Relaxed) {
            return Err(End::Dropped);
        }
        if duration.is_zero() {
            // Others get their turn, and a reply that nobody waits for ends.
            tokio::task::yield_now().await;
            return if reply.is_cancelled() { Err(End::Gone) } else { Ok(()) };
        }
        tokio::select! {
            () = tokio::time::sleep(duration) => Ok(()),
            () = reply.cancelled() => Err(End::Gone),
        }
    }

    fn told_to_refuse(&self, code: RefusalCode) -> End {
        End::Refused(Refused {
            code,
            message: "told to refuse".into(),
            field: self.field.into(),
        })
    }
}

// === impl Awaited ===

impl Awaited for ChatReply {
    fn is_cancelled(&self) -> bool {
        ChatReply::is_cancelled(self)
    }

    async fn cancelled(&self) {
        ChatReply::cancelled(self).await;
    }
}

impl Awaited for ImageReply {
    fn is_cancelled(&self) -> bool {
        ImageReply::is_cancelled(self)
    }

    async fn cancelled(&self) {
        ImageReply::cancelled(self).await;
    }
}

// === impl End ===

impl From<Gone> for End {
    fn from(_: Gone) -> Self {
        End::Gone
    }
}

impl From<Refused> for End {
    fn from(refused: Refused) -> Self {
        End::Refused(refused)
    }
}
