//! Values of labels. Each set is closed or bounded by the registry: never a user, never a prompt.

use std::collections::HashMap;
use std::sync::Arc;

use crate::registry::ModelConfig;

/// Label of a name that no model of the registry has.
pub(crate) const UNKNOWN: &str = "unknown";

/// Why a request was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RejectReason {
    /// The model's queue is full.
    QueueFull,
    /// The bytes reserved for bodies are all taken.
    BodyBudget,
    /// The body, or a part of it, is larger than allowed.
    TooLarge,
    /// The model can't be loaded, or its breaker is open.
    Unavailable,
    /// The server is about to stop.
    Draining,
    /// The deadline passed while the model was being loaded.
    Deadline,
}

/// Why an instance was started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RestartCause {
    /// Its process died.
    Crash,
    /// Its progress stood still with work under way.
    Stall,
    /// It failed too often, one time after another.
    Errors,
    /// It could not be started, or did not load its model.
    Start,
}

/// The models that may be labels, by each of their names.
#[derive(Debug, Default)]
pub(super) struct ModelLabels {
    by_name: HashMap<String, Arc<ModelLabel>>,
}

/// Labels of one model.
#[derive(Debug)]
pub(super) struct ModelLabel {
    /// Its id, or `unknown`.
    pub id: String,
    /// Its plugin; empty if unknown.
    pub plugin: String,
}

// === impl RejectReason ===

impl RejectReason {
    /// The value of the label.
    pub fn as_str(self) -> &'static str {
        match self {
            RejectReason::QueueFull => "queue_full",
            RejectReason::BodyBudget => "body_budget",
            RejectReason::TooLarge => "too_large",
            RejectReason::Unavailable => "unavailable",
            RejectReason::Draining => "draining",
            RejectReason::Deadline => "deadline",
        }
    }
}

// === impl RestartCause ===

impl RestartCause {
    /// The value of the label.
    pub fn as_str(self) -> &'static str {
        match self {
            RestartCause::Crash => "crash",
            RestartCause::Stall => "stall",
            RestartCause::Errors => "errors",
            RestartCause::Start => "start",
        }
    }
}

// === impl ModelLabels ===

impl ModelLabels {
    /// The labels of these models.
    pub(super) fn new(models: &[ModelConfig]) -> Self {
        let mut by_name = HashMap::new();
        for model in models {
            let label = Arc::new(ModelLabel {
                id: model.id.clone(),
                plugin: model.plugin.clone(),
            });
            for name in std::iter::once(&model.id).chain(&model.aliases) {
                by_name.insert(name.clone(), label.clone());
            }
        }
        Self { by_name }
    }

    /// The labels of the model with this id or alias.
    pub(super) fn get(&self, name: &str) -> Arc<ModelLabel> {
        let unknown = || {
            Arc::new(ModelLabel {
                id: UNKNOWN.into(),
                plugin: String::new(),
            })
        };
        self.by_name.get(name).cloned().unwrap_or_else(unknown)
    }

    /// The labels of the model with this id. A process that outlives its entry in the
    /// registry has none.
    pub(super) fn of_id(&self, id: &str) -> Option<&Arc<ModelLabel>> {
        self.by_name.get(id).filter(|label| label.id == id)
    }

    /// The labels of all models, some more than once.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<ModelLabel>> {
        self.by_name.values()
    }
}

// === impl ModelLabel ===

impl ModelLabel {
    /// Values of the labels model and plugin.
    pub(super) fn values(&self) -> [&str; 2] {
        [&self.id, &self.plugin]
    }

    /// Values of the labels model, plugin, and another one.
    pub(super) fn with<'a>(&'a self, other: &'a str) -> [&'a str; 3] {
        [&self.id, &self.plugin, other]
    }
}
