//! The engine as the API sees it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use sensorium_contract::MessageLimits;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cache::EmbeddingCache;
use crate::model::{Core, Refusal};
use crate::registry::{LoadPolicy, PluginCatalog, Registry};
use crate::shared::Shared;
use crate::table::Table;
use crate::watch::FileWatch;
use crate::{
    Admission, Error, Metrics, ModelState, ModelSummary, RegistryError, ReloadSummary, RequestContext, Supervision,
    reload,
};

/// What an engine is made from.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// The registry file, `models.toml`.
    pub registry: PathBuf,
    /// Where plugins are looked for before the host's own directory.
    pub plugin_path: Vec<PathBuf>,
    /// Bytes that the embedding cache may hold; 0: no cache.
    pub cache_bytes: u64,
    /// Largest message to and from a plugin.
    pub message_limits: MessageLimits,
    /// How long running requests may take to finish when a model, or the server, stops.
    pub drain_grace: Duration,
}

/// All models of one registry. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

/// Whether the server should be sent requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// True if every model marked `load = "eager"` has answered a real tiny request and, as far as is known, would
    /// again, and the server is not draining. A model that restarts counts as ready: requests for it wait.
    pub ready: bool,
    /// True once the server is about to stop.
    pub draining: bool,
    /// All models in registry order.
    pub models: Vec<(String, ModelState)>,
}

pub(crate) struct Inner {
    registry: PathBuf,
    catalog: PluginCatalog,
    shared: Arc<Shared>,
    table: RwLock<Arc<Table>>,
    /// Held by the one reload that is under way.
    reloading: tokio::sync::Mutex<()>,
    draining: AtomicBool,
    /// Models on their way out.
    retiring: Mutex<Vec<JoinHandle<()>>>,
    /// Ends what goes on in the background.
    stopping: CancellationToken,
}

/// How often models are looked at for having been idle too long.
const IDLE_CHECK: Duration = Duration::from_millis(500);

// === impl Engine ===

impl Engine {
    /// Reads the registry, begins to load its eager models, and watches the file.
    ///
    /// # Errors
    /// If the registry can't be read or has problems: all of them, one a line.
    pub async fn start(config: EngineConfig, metrics: Arc<Metrics>) -> Result<Engine, RegistryError> {
        Self::start_with(config, metrics, Supervision::default()).await
    }

    /// [`Engine::start`] with another patience than the default.
    ///
    /// # Errors
    /// If the registry can't be read or has problems: all of them, one a line.
    pub async fn start_with(
        config: EngineConfig,
        metrics: Arc<Metrics>,
        supervision: Supervision,
    ) -> Result<Engine, RegistryError> {
        let watch = FileWatch::start(&config.registry);
        let catalog = PluginCatalog::new(config.plugin_path);
        let registry = Registry::load(&config.registry, &catalog).await?;
        let inner = Arc::new(Inner {
            registry: config.registry,
            catalog,
            shared: Arc::new(Shared {
                runtime: Handle::current(),
                supervision,
                message_limits: config.message_limits,
                drain_grace: config.drain_grace,
                cache: EmbeddingCache::new(config.cache_bytes),
                metrics,
            }),
            table: RwLock::default(),
            reloading: tokio::sync::Mutex::default(),
            draining: AtomicBool::new(false),
            retiring: Mutex::default(),
            stopping: CancellationToken::new(),
        });
        reload::apply(&inner, registry).await;
        tokio::spawn(
            inner
                .stopping
                .clone()
                .run_until_cancelled_owned(follow(Arc::downgrade(&inner), watch)),
        );
        tokio::spawn(
            inner
                .stopping
                .clone()
                .run_until_cancelled_owned(unload_idle(Arc::downgrade(&inner))),
        );
        Ok(Engine { inner })
    }

    /// All models, in registry order.
    pub fn models(&self) -> Vec<ModelSummary> {
        self.inner
            .table()
            .models()
            .iter()
            .map(|model| model.summary())
            .collect()
    }

    /// The model with this id or alias.
    pub fn model(&self, name: &str) -> Option<ModelSummary> {
        self.inner.table().get(name).map(|model| model.summary())
    }

    /// Takes one slot of a model, or fails at once; then loads the model if it is not loaded, as long as the deadline
    /// allows. The slot is the caller's until the [`Admission`] is dropped.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn admit(&self, model: &str, request: RequestContext) -> Result<Admission, Error> {
        loop {
            if self.inner.draining.load(Ordering::Relaxed) {
                return Err(Error::Draining);
            }
            let table = self.inner.table();
            let found = table.get(model).ok_or_else(|| Error::ModelNotFound {
                model: model.to_owned(),
            })?;
            match found.admit(request.clone()).await {
                Ok(admission) => return Ok(admission),
                Err(Refusal::Error(error)) => return Err(error),
                // A reload came in between: the next look finds another model, or none.
                Err(Refusal::Gone) => tokio::task::yield_now().await,
            }
        }
    }

    /// Whether the server should be sent requests.
    pub fn readiness(&self) -> Readiness {
        let table = self.inner.table();
        let draining = self.inner.draining.load(Ordering::Relaxed);
        let mut eager = table
            .models()
            .iter()
            .filter(|model| model.config().load == LoadPolicy::Eager);
        let ready = !draining && eager.all(|model| model.is_sound());
        let models = table
            .models()
            .iter()
            .map(|model| (model.config().id.clone(), model.state()))
            .collect();
        Readiness {
            ready,
            draining,
            models,
        }
    }

    /// Reads the registry again: only entries that changed restart, and a bad edit changes nothing. Returns when
    /// everything that restarts on the CPU is ready. Models that failed are tried again.
    ///
    /// # Errors
    /// If the registry can't be read or has problems: all of them, one a line.
    pub async fn reload(&self) -> Result<ReloadSummary, RegistryError> {
        self.inner.reload().await
    }

    /// From now on the server is not ready and nothing is admitted.
    pub fn drain(&self) {
        self.inner.draining.store(true, Ordering::Relaxed);
    }

    /// Drains, gives running requests the grace period, and stops all processes.
    pub async fn shutdown(&self) {
        self.shutdown_by(Instant::now() + self.inner.shared.drain_grace).await;
    }

    /// Drains, lets running requests finish until `deadline`, and stops all processes; those that are left then are
    /// killed.
    pub async fn shutdown_by(&self, deadline: Instant) {
        self.drain();
        self.inner.stopping.cancel();
        // A reload that is under way would start what is being stopped.
        let _reloading = self.inner.reloading.lock().await;
        let table = self.inner.table();
        for model in table.models() {
            self.inner.retire_by(Arc::clone(model.core()), deadline);
        }
        for task in self.inner.take_retiring() {
            // It has ended either way.
            let _ = task.await;
        }
    }

    /// Everything counted.
    pub fn metrics(&self) -> &Metrics {
        &self.inner.shared.metrics
    }
}

// === impl Inner ===

impl Drop for Inner {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}

impl Inner {
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_table(&self, table: Table) {
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
    }

    /// Lets a model finish within the grace period and stops it, in the background. The token is cancelled when it is
    /// gone.
    pub(crate) fn retire(&self, core: Arc<Core>) -> CancellationToken {
        self.retire_by(core, Instant::now() + self.shared.drain_grace)
    }

    fn retire_by(&self, core: Arc<Core>, deadline: Instant) -> CancellationToken {
        let gone = CancellationToken::new();
        let guard = gone.clone().drop_guard();
        let task = self.shared.runtime.spawn(async move {
            core.retire(deadline).await;
            drop(guard);
        });
        let mut retiring = self.retiring.lock().unwrap_or_else(PoisonError::into_inner);
        retiring.retain(|task| !task.is_finished());
        retiring.push(task);
        gone
    }

    /// Cancelled when the engine stops.
    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    fn take_retiring(&self) -> Vec<JoinHandle<()>> {
        std::mem::take(&mut *self.retiring.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn reload(self: &Arc<Self>) -> Result<ReloadSummary, RegistryError> {
        let _reloading = self.reloading.lock().await;
        let loaded = self
            .stopping
            .run_until_cancelled(Registry::load(&self.registry, &self.catalog))
            .await;
        let registry = loaded
            .unwrap_or_else(|| {
                let reason = "is not read: the server is shutting down".to_owned();
                Err(RegistryError::whole(&self.registry, reason))
            })
            .inspect_err(|error| {
                tracing::error!(%error, "the registry was not reloaded: everything goes on as it was");
            })?;
        let summary = reload::apply(self, registry).await;
        tracing::info!(?summary, "the registry was reloaded");
        Ok(summary)
    }
}

/// Reloads the registry whenever its file changes.
async fn follow(inner: Weak<Inner>, mut watch: FileWatch) {
    while watch.changed().await.is_some() {
        let Some(inner) = inner.upgrade() else { return };
        // What is wrong with it has been logged; the next edit may mend it.
        let _ = inner.reload().await;
    }
}

/// Unloads models that have been idle for as long as their `ttl`.
async fn unload_idle(inner: Weak<Inner>) {
    let mut ticks = tokio::time::interval(IDLE_CHECK);
    loop {
        ticks.tick().await;
        let Some(inner) = inner.upgrade() else { return };
        for model in inner.table().models() {
            if let Some(ttl) = model.config().ttl {
                model.core().unload_if_idle(ttl);
            }
        }
    }
}
