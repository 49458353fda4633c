//! The task that keeps one instance alive.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sensorium_contract::Health;
use sensorium_contract::process::PluginProcess;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::policy::{self, Restart};
use super::start::{self, Blueprint, StartFailure, Started};
use super::status::{Place, Status};
use super::stop::StopSignal;
use super::watch::{Death, last_words, watch};
use crate::model::Vitals;
use crate::queue::Lane;
use crate::{Metrics, Supervision};

/// Keeps one instance alive until it is told to stop.
pub(crate) struct Supervisor {
    pub(crate) blueprint: Blueprint,
    pub(crate) supervision: Supervision,
    /// What it tells the model.
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) place: Place,
    pub(crate) metrics: Arc<Metrics>,
    /// Cancelled when the earlier life's processes are gone and their memory is free.
    pub(crate) clear: CancellationToken,
    /// Given to stop the instance.
    pub(crate) stop: StopSignal,
    /// Changes when a model that failed or is broken is to be tried at once.
    pub(crate) retries: watch::Receiver<u64>,
}

/// How one process's life ended.
enum End {
    /// As it was told to.
    Stopped,
    /// The plugin refused the model.
    Refused(String),
    /// By itself, or killed because something was wrong with it.
    Died(Death),
}

/// What the supervisor remembers from one process to the next.
#[derive(Default)]
struct Memory {
    /// Deaths since the last successful call.
    deaths: Arc<AtomicU32>,
    /// The model has been ready in this life: its capabilities are known.
    was_ready: bool,
}

// === impl Supervisor ===

impl Supervisor {
    /// Runs until it is told to stop; then no process is left.
    pub(crate) async fn run(mut self) {
        let mut memory = Memory::default();
        self.clear.cancelled().await;
        while !self.stop.is_given() {
            self.report(if memory.was_ready {
                Status::Restarting
            } else {
                Status::Loading
            });
            let pause = match self.live(&mut memory).await {
                End::Stopped => break,
                End::Refused(reason) => {
                    self.refused(reason);
                    None
                }
                End::Died(death) => Some(self.died(&death, &memory)),
            };
            self.pause(pause).await;
        }
        self.report(Status::Stopped);
    }

    /// One process, from its start to its end.
    async fn live(&mut self, memory: &mut Memory) -> End {
        let begun = Instant::now();
        let started = tokio::select! {
            started = start::start(&self.blueprint, &self.supervision) => started,
            () = self.stop.given() => return End::Stopped,
        };
        let Started { process, capabilities } = match started {
            Ok(started) => started,
            Err(StartFailure::Refused(reason)) => return End::Refused(reason),
            Err(StartFailure::Died(reason)) => return End::Died(Death::Load(reason)),
        };
        let Blueprint { model, plugin, .. } = &self.blueprint;
        let took = begun.elapsed();
        self.metrics.instance_loaded(model, took);
        tracing::info!(%model, %plugin, pid = process.pid(), device = capabilities.device, ?took, "ready");
        memory.was_ready = true;
        self.vitals.loaded(&capabilities);
        let lane = Lane::new(process.client(), capabilities, Arc::clone(&memory.deaths));
        self.vitals.dispatcher().open(Arc::clone(&lane));
        self.report(Status::Ready);
        let seen = |health: &Health| self.kv_cache_usage(health.kv_usage);
        let death = tokio::select! {
            () = self.stop.given() => None,
            death = watch(&process, &lane, &self.supervision, seen) => Some(death),
        };
        self.vitals.dispatcher().close(&lane);
        self.metrics.no_kv_cache(&self.blueprint.model, self.place.index);
        match death {
            None => {
                self.wind_down(process, &lane).await;
                End::Stopped
            }
            Some(death) => {
                process.kill();
                last_words(&process).await;
                End::Died(death)
            }
        }
    }

    async fn wind_down(&self, process: PluginProcess, lane: &Lane) {
        let Blueprint { model, plugin, .. } = &self.blueprint;
        let deadline = self.stop.deadline();
        let idle = tokio::time::timeout_at(deadline.into(), lane.idle()).await.is_ok();
        let left = deadline.saturating_duration_since(Instant::now());
        let cause = if idle && !left.is_zero() {
            process.stop(left).await
        } else {
            tracing::warn!(%model, %plugin, "killing the process: the grace period is over");
            process.kill();
            process.exited().await
        };
        tracing::info!(%model, %plugin, %cause, "stopped");
    }

    fn kv_cache_usage(&self, share: Option<f32>) {
        if let Some(share) = share {
            self.metrics
                .kv_cache_usage(&self.blueprint.model, self.place.index, share.into());
        }
    }

    fn refused(&self, reason: String) {
        let Blueprint { model, plugin, .. } = &self.blueprint;
        tracing::error!(%model, %plugin, reason, "the model can't be loaded");
        let retry_at = Instant::now() + self.supervision.failed_cooldown;
        self.report(Status::Failed { reason, retry_at });
    }

    /// Counts a death; returns how long to wait before the next start.
    fn died(&self, death: &Death, memory: &Memory) -> Duration {
        let Blueprint { model, plugin, .. } = &self.blueprint;
        let deaths = memory.deaths.fetch_add(1, Ordering::Relaxed) + 1;
        self.metrics.instance_restarted(model, death.cause());
        let restart = policy::restart(deaths, &self.supervision);
        tracing::error!(%model, %plugin, deaths, ?restart, "the instance is lost: {death}");
        match restart {
            Restart::Now => Duration::ZERO,
            Restart::After(pause) => {
                self.report(if memory.was_ready {
                    Status::Restarting
                } else {
                    Status::Loading
                });
                pause
            }
            Restart::Broken(pause) => {
                self.report(Status::Broken {
                    reason: death.to_string(),
                    retry_at: Instant::now() + pause,
                });
                pause
            }
        }
    }

    /// Waits for so long, or for ever, unless it is told to try at once or to stop.
    async fn pause(&mut self, pause: Option<Duration>) {
        let over = async {
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = over => {}
            () = self.stop.given() => {}
            // An error means that the model is gone; then `stop` has been given.
            Ok(()) = self.retries.changed() => {}
        }
    }

    fn report(&self, status: Status) {
        self.vitals.report(&self.place, status);
    }
}
