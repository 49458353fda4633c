//! The models that are served at one moment, by all of their names.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::Model;
use crate::registry::Registry;

/// The models of one registry. Never changed, only replaced.
#[derive(Default)]
pub(crate) struct Table {
    models: Vec<Arc<Model>>,
    names: HashMap<String, usize>,
}

// === impl Table ===

impl Table {
    /// A table of these models, in this order. Ids go before aliases.
    pub(crate) fn new(models: Vec<Arc<Model>>) -> Self {
        let mut names: HashMap<String, usize> = models
            .iter()
            .enumerate()
            .map(|(index, model)| (model.config().id.clone(), index))
            .collect();
        for (index, model) in models.iter().enumerate() {
            for alias in &model.config().aliases {
                names.entry(alias.clone()).or_insert(index);
            }
        }
        Self { models, names }
    }

    pub(crate) fn models(&self) -> &[Arc<Model>] {
        &self.models
    }

    /// The model with this id or alias.
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Model>> {
        self.names.get(name).map(|&index| &self.models[index])
    }

    /// The same table with one model in the place of the one with the same id.
    pub(crate) fn with(&self, model: &Arc<Model>) -> Self {
        let replaced = self.models.iter().map(|old| {
            let same = old.config().id == model.config().id;
            Arc::clone(if same { model } else { old })
        });
        Self::new(replaced.collect())
    }

    /// The registry that these models make.
    pub(crate) fn registry(&self) -> Registry {
        Registry {
            models: self
                .models
                .iter()
                .map(|model| model.config().as_ref().clone())
                .collect(),
        }
    }
}
