//! What state each instance of a model is in, and what that makes of the model.

use std::time::Instant;

use tokio::sync::watch;

use crate::ModelState;

/// What state an instance is in. A model with several is in the best state of any of them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Status {
    /// No process.
    Stopped,
    /// The model or its options were refused; asking again would not help before something changes.
    Failed {
        /// What the plugin said. May name files.
        reason: String,
        /// From then on a request may have it tried again.
        retry_at: Instant,
    },
    /// It died too often in a row.
    Broken {
        /// How it died last.
        reason: String,
        /// When it will be tried again.
        retry_at: Instant,
    },
    /// The process starts and loads the model.
    Loading,
    /// It was ready, died, and will be again.
    Restarting,
    /// It takes requests.
    Ready,
}

/// The states of all instances of one model; changes can be waited for.
pub(crate) struct Board {
    states: watch::Sender<States>,
}

struct States {
    /// Grows each time that the model is started: what is left of an earlier life has no say.
    life: u64,
    instances: Vec<Status>,
}

/// One instance's place on the board.
pub(crate) struct Place {
    pub(crate) life: u64,
    pub(crate) index: usize,
}

// === impl Status ===

impl Status {
    fn rank(&self) -> u8 {
        match self {
            Status::Stopped => 0,
            Status::Failed { .. } => 1,
            Status::Broken { .. } => 2,
            Status::Loading => 3,
            Status::Restarting => 4,
            Status::Ready => 5,
        }
    }
}

impl From<Status> for ModelState {
    fn from(status: Status) -> Self {
        match status {
            Status::Stopped => ModelState::Unloaded,
            Status::Failed { reason, .. } => ModelState::Failed { reason },
            Status::Broken { reason, .. } => ModelState::Broken { reason },
            Status::Loading | Status::Restarting => ModelState::Loading,
            Status::Ready => ModelState::Ready,
        }
    }
}

// === impl Board ===

impl Board {
    /// A board for so many instances, all stopped.
    pub(crate) fn new(instances: usize) -> Self {
        Self {
            states: watch::Sender::new(States {
                life: 0,
                instances: vec![Status::Stopped; instances],
            }),
        }
    }

    /// The model's state: the best of its instances'.
    pub(crate) fn best(&self) -> Status {
        self.states.borrow().best()
    }

    /// Puts all instances into one state and begins a new life, whose number is returned.
    pub(crate) fn begin(&self, status: &Status) -> u64 {
        let mut life = 0;
        self.states.send_modify(|states| {
            states.life += 1;
            life = states.life;
            states.instances.fill(status.clone());
        });
        life
    }

    /// Puts those that failed or are broken into another state. True if there were any.
    pub(crate) fn revive(&self) -> bool {
        self.states.send_if_modified(|states| {
            let mut any = false;
            for status in &mut states.instances {
                if matches!(status, Status::Failed { .. } | Status::Broken { .. }) {
                    *status = Status::Loading;
                    any = true;
                }
            }
            any
        })
    }

    /// Puts one instance into a state, and returns the model's; `None` if that life is over.
    pub(crate) fn set(&self, place: &Place, status: Status) -> Option<Status> {
        let mut best = None;
        self.states.send_if_modified(|states| {
            let current = states.life == place.life;
            if current {
                states.instances[place.index] = status;
                best = Some(states.best());
            }
            current
        });
        best
    }

    /// Wakes all who wait for a change, to look again at what is not on the board.
    pub(crate) fn nudge(&self) {
        self.states.send_modify(|_| {});
    }

    /// Resolves at the next change after this call.
    pub(crate) fn changes(&self) -> Changes {
        Changes {
            states: self.states.subscribe(),
        }
    }
}

/// Waits for changes of a [`Board`], none of which is missed.
pub(crate) struct Changes {
    states: watch::Receiver<States>,
}

impl Changes {
    /// Resolves when something has changed since the last call, or since this was made.
    pub(crate) async fn next(&mut self) {
        if self.states.changed().await.is_err() {
            // The board is gone, and with it the model: nothing will change any more.
            std::future::pending::<()>().await;
        }
    }
}

// === impl States ===

impl States {
    fn best(&self) -> Status {
        self.instances
            .iter()
            .max_by_key(|status| status.rank())
            .cloned()
            .unwrap_or(Status::Stopped)
    }
}
