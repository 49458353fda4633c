//! What runs for a model: its queue, its slots, and one supervisor for each instance.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sensorium_contract::Capabilities;
use sensorium_contract::process::Launch;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::slots::Slots;
use super::vitals::Vitals;
use crate::Error;
use crate::instance::{Blueprint, Place, Status, StopSignal, Supervisor, allocator_settings};
use crate::queue::{Dispatcher, QueueSettings};
use crate::registry::ModelConfig;
use crate::shared::Shared;

/// What runs for a model.
pub(crate) struct Core {
    shared: Arc<Shared>,
    blueprints: Vec<Blueprint>,
    vitals: Arc<Vitals>,
    slots: Slots,
    lifecycle: Mutex<Lifecycle>,
}

/// What a request finds when it asks for the model.
#[derive(Debug)]
pub(super) enum Demand {
    /// It can join the queue.
    Go(Arc<Capabilities>),
    /// The model loads; ask again when its state changes.
    Wait,
    /// The model has been replaced or removed.
    Gone,
    /// It can't be had at present.
    Refused(Error),
}

#[derive(Default)]
struct Lifecycle {
    life: Option<Life>,
    /// What must end before a new life begins: processes of the last one, which still hold memory.
    before: Vec<JoinHandle<()>>,
    /// Nobody is let in any more.
    retired: bool,
}

/// The instances from one start to the next stop.
struct Life {
    stop: StopSignal,
    retries: watch::Sender<u64>,
    supervisors: Vec<JoinHandle<()>>,
}

// === impl Core ===

impl Core {
    /// Nothing runs yet. `default_threads` is for instances on a CPU whose entry doesn't say.
    pub(crate) fn new(config: &ModelConfig, default_threads: usize, shared: Arc<Shared>) -> Arc<Core> {
        let settings = QueueSettings {
            model: config.id.clone(),
            plugin: config.plugin.clone(),
            max_batch: config.batch.max.map(|max| max as usize),
            max_message_bytes: shared.message_limits.max_message_bytes,
        };
        let metrics = Arc::clone(&shared.metrics);
        let dispatcher = Dispatcher::new(settings, shared.runtime.clone(), Arc::clone(&metrics));
        dispatcher.set_wait(config.batch.wait);
        let vitals = Vitals::new(&config.id, config.devices.len(), dispatcher, metrics);
        let blueprints = config
            .devices
            .iter()
            .map(|device| blueprint(config, device, default_threads, &shared));
        let blueprints = blueprints.collect();
        Arc::new(Core {
            shared,
            blueprints,
            vitals,
            slots: Slots::new(),
            lifecycle: Mutex::default(),
        })
    }

    pub(crate) fn vitals(&self) -> &Arc<Vitals> {
        &self.vitals
    }

    pub(super) fn slots(&self) -> &Slots {
        &self.slots
    }

    pub(crate) fn dispatcher(&self) -> &Arc<Dispatcher> {
        self.vitals.dispatcher()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// True once nobody is let in any more.
    pub(super) fn is_retired(&self) -> bool {
        self.lifecycle().retired
    }

    /// Starts the instances, unless they run already.
    pub(crate) fn start(&self) {
        self.start_locked(&mut self.lifecycle());
    }

    /// What must end before the instances are started, or their memory might not be free.
    pub(crate) fn start_after(&self, before: CancellationToken) {
        let before = self.shared.runtime.spawn(before.cancelled_owned());
        self.lifecycle().before.push(before);
    }

    /// Tries instances that failed or are broken again, at once.
    pub(crate) fn try_again(&self) {
        self.try_again_locked(&self.lifecycle());
    }

    /// For a request that holds a slot: whether it can join the queue. Starts what has to be started.
    pub(super) fn demand(&self) -> Demand {
        let mut lifecycle = self.lifecycle();
        if lifecycle.retired {
            return Demand::Gone;
        }
        let status = self.vitals.status();
        match &status {
            // One that restarts will come back as it was; what is sent to it waits in the queue.
            Status::Ready | Status::Restarting => match self.vitals.capabilities() {
                Some(capabilities) => return Demand::Go(capabilities),
                None => return Demand::Wait,
            },
            Status::Loading => return Demand::Wait,
            Status::Stopped => {
                self.start_locked(&mut lifecycle);
                return Demand::Wait;
            }
            Status::Failed { retry_at, .. } if *retry_at <= Instant::now() => {
                self.try_again_locked(&lifecycle);
                return Demand::Wait;
            }
            Status::Failed { .. } | Status::Broken { .. } => {}
        }
        self.vitals.refusal(&status).map_or(Demand::Wait, Demand::Refused)
    }

    /// Stops the instances if no request has been there for `ttl`.
    pub(crate) fn unload_if_idle(&self, ttl: Duration) {
        // Requests take their slot before they look at the lifecycle, so none can slip in between.
        let mut lifecycle = self.lifecycle();
        let now = Instant::now();
        let ready = self.vitals.ready_at().map(|at| now.saturating_duration_since(at));
        let idle = self.slots.idle_for(now).is_some_and(|idle| idle >= ttl) && ready.is_some_and(|ready| ready >= ttl);
        if idle && self.vitals.status() == Status::Ready {
            let Blueprint { model, plugin, .. } = &self.blueprints[0];
            tracing::info!(%model, %plugin, ?ttl, "unloading the model: nobody has asked for it");
            self.stop_locked(&mut lifecycle, now + self.shared.drain_grace);
        }
    }

    /// Lets nobody in any more, lets those who are in finish until `deadline`, and stops the instances. Returns when
    /// their processes are gone: those that are left at the deadline are killed.
    pub(crate) async fn retire(&self, deadline: Instant) {
        self.lifecycle().retired = true;
        // Requests that wait for it to load hold slots: they are to look for its successor.
        self.vitals.nudge();
        let drained = tokio::time::timeout_at(deadline.into(), self.slots.all_free()).await;
        if drained.is_err() {
            let Blueprint { model, plugin, .. } = &self.blueprints[0];
            tracing::warn!(%model, %plugin, "stopping with requests unfinished: the grace period is over");
        }
        let before = {
            let mut lifecycle = self.lifecycle();
            self.stop_locked(&mut lifecycle, deadline);
            std::mem::take(&mut lifecycle.before)
        };
        // Who has outstayed the grace period finds the queue closed.
        self.dispatcher().refuse(Error::Unavailable {
            model: self.blueprints[0].model.clone(),
            reason: "it has been stopped".to_owned(),
            retry_after: Duration::from_secs(1),
        });
        for task in before {
            // It has ended either way.
            let _ = task.await;
        }
    }

    fn start_locked(&self, lifecycle: &mut Lifecycle) {
        if lifecycle.life.is_some() || lifecycle.retired {
            return;
        }
        let stop = StopSignal::default();
        let clear = CancellationToken::new();
        let (retries, retried) = watch::channel(0);
        let number = self.vitals.begin(&Status::Loading);
        let runtime = &self.shared.runtime;
        let supervisors = self.blueprints.iter().enumerate().map(|(index, blueprint)| {
            let supervisor = Supervisor {
                blueprint: blueprint.clone(),
                supervision: self.shared.supervision.clone(),
                vitals: Arc::clone(&self.vitals),
                place: Place { life: number, index },
                metrics: Arc::clone(&self.shared.metrics),
                clear: clear.clone(),
                stop: stop.clone(),
                retries: retried.clone(),
            };
            runtime.spawn(supervisor.run())
        });
        let supervisors = supervisors.collect();
        let before = std::mem::take(&mut lifecycle.before);
        runtime.spawn(async move {
            for task in before {
                let _ = task.await;
            }
            clear.cancel();
        });
        lifecycle.life = Some(Life {
            stop,
            retries,
            supervisors,
        });
    }

    fn stop_locked(&self, lifecycle: &mut Lifecycle, deadline: Instant) {
        if let Some(life) = lifecycle.life.take() {
            life.stop.give(deadline);
            self.vitals.begin(&Status::Stopped);
            lifecycle.before.extend(life.supervisors);
        }
    }

    fn try_again_locked(&self, lifecycle: &Lifecycle) {
        if let Some(life) = &lifecycle.life
            && self.vitals.revive()
        {
            life.retries.send_modify(|count| *count += 1);
        }
    }

    fn lifecycle(&self) -> MutexGuard<'_, Lifecycle> {
        self.lifecycle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if let Some(life) = &self.lifecycle().life {
            life.stop.give(Instant::now() + self.shared.drain_grace);
        }
    }
}

fn blueprint(config: &ModelConfig, device: &str, default_threads: usize, shared: &Shared) -> Blueprint {
    let mut load = config.load_request(device);
    if load.threads.is_none() && on_cpu(device) {
        load.threads = Some(default_threads);
    }
    Blueprint {
        model: config.id.clone(),
        plugin: config.plugin.clone(),
        launch: Launch {
            executable: config.executable.clone(),
            limits: shared.message_limits,
            start_timeout: shared.supervision.start_timeout,
            env: allocator_settings(),
        },
        load,
    }
}

/// Whether an instance on this device may compute on the CPU.
pub(crate) fn on_cpu(device: &str) -> bool {
    matches!(device, "cpu" | "auto")
}
