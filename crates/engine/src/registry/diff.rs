//! What a new registry changes about the old one.

use super::Registry;

/// Ids of the models that a reload touches, and of those that it doesn't.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RegistryDiff {
    /// New ones.
    pub added: Vec<String>,
    /// Those that are gone.
    pub removed: Vec<String>,
    /// Those whose processes must be started again.
    pub needs_restart: Vec<String>,
    /// Those that change without a restart: names, queue, idle time, defaults of requests.
    pub updated: Vec<String>,
    /// Those that stay as they are.
    pub unchanged: Vec<String>,
}

// === impl RegistryDiff ===

impl RegistryDiff {
    /// What `new` changes about `old`; models are the same if their ids are.
    pub(crate) fn between(old: &Registry, new: &Registry) -> Self {
        let mut diff = Self::default();
        for model in &new.models {
            let list = match old.get(&model.id) {
                None => &mut diff.added,
                Some(before) if before == model => &mut diff.unchanged,
                Some(before) if before.runs_like(model) => &mut diff.updated,
                Some(_) => &mut diff.needs_restart,
            };
            list.push(model.id.clone());
        }
        let gone = old.models.iter().filter(|model| new.get(&model.id).is_none());
        diff.removed = gone.map(|model| model.id.clone()).collect();
        diff
    }
}
