//! Makes what runs agree with a new registry, disturbing no more than what has changed.
//!
//! First a new table is put up in which everything has its place: what is unchanged, or
//! changed only in what needs no restart, keeps its processes; what has gone finishes
//! what it has let in; what is new starts if it is eager. What must restart is then
//! replaced one by one:
//!
//! - If it runs on the CPU, the new processes are started beside the old ones, which
//!   serve until the new ones are ready — and go on if those can't be loaded.
//! - On an accelerator there may be no memory for both. The old processes finish and
//!   stop, then the new ones start; requests wait meanwhile.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::engine::Inner;
use crate::instance::Status;
use crate::model::{Core, Model, on_cpu};
use crate::registry::{LoadPolicy, ModelConfig, Registry, RegistryDiff};
use crate::table::Table;
use crate::{ModelState, ReloadSummary};

/// A model that is ready, or can't be, before the one that it replaces stops.
struct Replacement {
    old: Arc<Model>,
    new: Arc<Model>,
}

/// Makes what runs agree with `registry`. One at a time.
pub(crate) async fn apply(inner: &Arc<Inner>, registry: Registry) -> ReloadSummary {
    let table = inner.table();
    let diff = RegistryDiff::between(&table.registry(), &registry);
    inner.shared().metrics.set_models(&registry.models);
    let (next, replacements) = plan(inner, &table, registry, &diff);
    inner.set_table(next);
    for id in &diff.removed {
        if let Some(model) = table.get(id) {
            inner.retire(Arc::clone(model.core()));
        }
    }
    let outcomes = replacements.into_iter().map(|replacement| replace(inner, replacement));
    let kept: Vec<(String, String)> = futures::future::join_all(outcomes)
        .await
        .into_iter()
        .flatten()
        .collect();
    let is_kept = |id: &String| kept.iter().any(|(other, _)| other == id);
    let restarted = diff.needs_restart.into_iter().filter(|id| !is_kept(id)).collect();
    let mut unchanged = diff.unchanged;
    unchanged.extend(diff.updated);
    ReloadSummary {
        added: diff.added,
        removed: diff.removed,
        restarted,
        unchanged,
        kept,
    }
}

/// The table to put up at once, and the models that are to be replaced once others are ready.
fn plan(inner: &Arc<Inner>, table: &Table, registry: Registry, diff: &RegistryDiff) -> (Table, Vec<Replacement>) {
    let threads = default_threads(&registry);
    let mut replacements = Vec::new();
    let old: HashMap<&str, &Arc<Model>> = table
        .models()
        .iter()
        .map(|model| (model.config().id.as_str(), model))
        .collect();
    let models = registry.models.into_iter().map(|config| {
        let config = Arc::new(config);
        let Some(&old) = old.get(config.id.as_str()) else {
            return begin(new_model(inner, config, threads));
        };
        if diff.unchanged.contains(&config.id) {
            old.core().try_again();
            return Arc::clone(old);
        }
        if diff.updated.contains(&config.id) {
            old.core().try_again();
            old.core().dispatcher().set_wait(config.batch.wait);
            return begin(Model::new(config, old.created(), Arc::clone(old.core())));
        }
        let new = new_model(inner, config, threads);
        if may_overlap(old) {
            replacements.push(Replacement {
                old: Arc::clone(old),
                new,
            });
            return Arc::clone(old);
        }
        let was_wanted = old.core().vitals().status() != Status::Stopped;
        new.core().start_after(inner.retire(Arc::clone(old.core())));
        if was_wanted {
            new.core().start();
        }
        begin(new)
    });
    let models = models.collect();
    (Table::new(models), replacements)
}

/// Starts the new model; if it becomes ready it takes the old one's place. Else says which was kept, and why.
async fn replace(inner: &Arc<Inner>, replacement: Replacement) -> Option<(String, String)> {
    let Replacement { old, new } = replacement;
    let id = new.config().id.clone();
    new.core().start();
    let settled = tokio::select! {
        state = settled(&new) => state,
        () = inner.stopping().cancelled() => ModelState::Failed { reason: "the server is shutting down".to_owned() },
    };
    match settled {
        ModelState::Failed { reason } | ModelState::Broken { reason } => {
            tracing::error!(
                model = id,
                reason,
                "the changed model can't be loaded: the one before goes on serving"
            );
            inner.retire(Arc::clone(new.core()));
            Some((id, reason))
        }
        ModelState::Ready | ModelState::Loading | ModelState::Unloaded => {
            inner.set_table(inner.table().with(&new));
            inner.retire(Arc::clone(old.core()));
            None
        }
    }
}

/// The state of a model once it no longer loads.
async fn settled(model: &Model) -> ModelState {
    let mut changes = model.core().vitals().changes();
    loop {
        match model.state() {
            ModelState::Loading => changes.next().await,
            state => return state,
        }
    }
}

/// Whether another process may be started while this model's still run: they hold no accelerator's memory.
fn may_overlap(old: &Model) -> bool {
    let vitals = old.core().vitals();
    let runs = matches!(vitals.status(), Status::Ready | Status::Restarting);
    runs && vitals
        .capabilities()
        .is_some_and(|capabilities| capabilities.device == "cpu")
}

fn begin(model: Arc<Model>) -> Arc<Model> {
    match model.config().load {
        LoadPolicy::Eager => model.core().start(),
        LoadPolicy::Lazy => {}
    }
    model
}

fn new_model(inner: &Arc<Inner>, config: Arc<ModelConfig>, default_threads: usize) -> Arc<Model> {
    let core = Core::new(&config, default_threads, Arc::clone(inner.shared()));
    let created = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    Model::new(config, created, core)
}

/// The cores, shared out among all instances that may compute on the CPU.
fn default_threads(registry: &Registry) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let instances = registry
        .models
        .iter()
        .flat_map(|model| &model.devices)
        .filter(|device| on_cpu(device))
        .count();
    (cores / instances.max(1)).max(1)
}
