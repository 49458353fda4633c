//! What a model's instances tell of themselves, and what follows for its queue.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use sensorium_contract::Capabilities;

use crate::instance::{Board, Changes, Place, Status};
use crate::metrics::GaugeGuard;
use crate::queue::Dispatcher;
use crate::{Error, Metrics};

/// What is known of a model from its instances.
pub(crate) struct Vitals {
    model: String,
    board: Board,
    dispatcher: Arc<Dispatcher>,
    metrics: Arc<Metrics>,
    /// Held while a report is drawn up, so that the queue hears them in the board's order.
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    capabilities: Option<Arc<Capabilities>>,
    /// When an instance last became ready.
    ready_at: Option<Instant>,
    /// Held while an instance is ready.
    loaded: Option<GaugeGuard>,
}

// === impl Vitals ===

impl Vitals {
    pub(super) fn new(model: &str, instances: usize, dispatcher: Arc<Dispatcher>, metrics: Arc<Metrics>) -> Arc<Self> {
        let (model, board, known) = (model.to_owned(), Board::new(instances), Mutex::default());
        Arc::new(Self {
            model,
            board,
            dispatcher,
            metrics,
            known,
        })
    }

    /// The best state of any instance.
    pub(crate) fn status(&self) -> Status {
        self.board.best()
    }

    /// What the model can do, once an instance has said so; kept when it is unloaded.
    pub(crate) fn capabilities(&self) -> Option<Arc<Capabilities>> {
        self.known().capabilities.clone()
    }

    /// True once an instance has been ready.
    pub(crate) fn has_answered(&self) -> bool {
        self.known().ready_at.is_some()
    }

    /// When an instance last became ready.
    pub(super) fn ready_at(&self) -> Option<Instant> {
        self.known().ready_at
    }

    /// Changes of [`Vitals::status`] from now on.
    pub(crate) fn changes(&self) -> Changes {
        self.board.changes()
    }

    /// Wakes all who wait for a change, to look again.
    pub(super) fn nudge(&self) {
        self.board.nudge();
    }

    /// Where batches come from.
    pub(crate) fn dispatcher(&self) -> &Arc<Dispatcher> {
        &self.dispatcher
    }

    /// An instance has loaded the model.
    pub(crate) fn loaded(&self, capabilities: &Arc<Capabilities>) {
        self.known().capabilities = Some(Arc::clone(capabilities));
    }

    /// An instance is in another state.
    pub(crate) fn report(&self, place: &Place, status: Status) {
        let mut known = self.known();
        let ready = status == Status::Ready;
        let Some(best) = self.board.set(place, status) else {
            return;
        };
        if ready {
            known.ready_at = Some(Instant::now());
        }
        self.tell_others(&mut known, &best);
    }

    /// All instances begin anew, in this state. Returns the number of their life.
    pub(super) fn begin(&self, status: &Status) -> u64 {
        let mut known = self.known();
        let life = self.board.begin(status);
        self.tell_others(&mut known, status);
        life
    }

    /// Instances that failed or are broken are to be tried again. True if there are any.
    pub(super) fn revive(&self) -> bool {
        let mut known = self.known();
        let any = self.board.revive();
        if any {
            self.tell_others(&mut known, &self.board.best());
        }
        any
    }

    /// The error of a request for a model in this state, if there is one.
    pub(super) fn refusal(&self, status: &Status) -> Option<Error> {
        // The reasons may name files: they are for the operator, in the log and the model's state.
        let (reason, retry_at) = match status {
            Status::Failed { retry_at, .. } => ("it can't be loaded", *retry_at),
            Status::Broken { retry_at, .. } => ("its process keeps failing", *retry_at),
            Status::Stopped | Status::Loading | Status::Restarting | Status::Ready => return None,
        };
        Some(Error::Unavailable {
            model: self.model.clone(),
            reason: reason.to_owned(),
            retry_after: retry_at.saturating_duration_since(Instant::now()),
        })
    }

    /// Tells the metrics and the queue the best state.
    fn tell_others(&self, known: &mut Known, best: &Status) {
        // A guard of its own, since a model that replaces this one has the same name.
        let guard = (*best == Status::Ready).then(|| known.loaded.take().or_else(|| self.metrics.loaded(&self.model)));
        known.loaded = guard.flatten();
        match self.refusal(best) {
            Some(error) => self.dispatcher.refuse(error),
            None => self.dispatcher.accept(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
