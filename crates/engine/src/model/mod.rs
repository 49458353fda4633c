//! One model of the registry while it is served.
//!
//! [`Model`] is the registry's entry; [`Core`] what runs for it — queue, slots,
//! instances — and outlives edits of the entry that need no restart; [`Slots`] who has
//! been let in; [`Vitals`] what the instances tell of themselves.

mod core;
mod rate;
mod slots;
mod vitals;

use std::sync::Arc;
use std::time::Instant;

use sensorium_contract::{Capabilities, Task};

pub(crate) use self::core::Core;
use self::core::Demand;
pub(crate) use self::core::on_cpu;
pub(crate) use self::slots::Slot;
pub(crate) use self::vitals::Vitals;
use crate::instance::Status;
use crate::registry::ModelConfig;
use crate::{Admission, Error, ModelState, ModelSummary, RejectReason, RequestContext};

/// An entry of the registry, and what runs for it.
pub(crate) struct Model {
    config: Arc<ModelConfig>,
    created: u64,
    core: Arc<Core>,
}

/// Why a request was not let in.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The model has been replaced or removed meanwhile: look its name up again.
    Gone,
    /// It would be refused again.
    Error(Error),
}

// === impl Model ===

impl Model {
    /// An entry read at `created`, in seconds of Unix time.
    pub(crate) fn new(config: Arc<ModelConfig>, created: u64, core: Arc<Core>) -> Arc<Model> {
        Arc::new(Model { config, created, core })
    }

    pub(crate) fn config(&self) -> &Arc<ModelConfig> {
        &self.config
    }

    pub(crate) fn created(&self) -> u64 {
        self.created
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// The model as it is now.
    pub(crate) fn summary(&self) -> ModelSummary {
        let config = &self.config;
        ModelSummary {
            id: config.id.clone(),
            aliases: config.aliases.clone(),
            plugin: config.plugin.clone(),
            created: self.created,
            state: self.state(),
            capabilities: self.core.vitals().capabilities(),
            timeout: config.timeout,
            token_input: config.token_input,
            truncate: config.truncate,
        }
    }

    pub(crate) fn state(&self) -> ModelState {
        self.core.vitals().status().into()
    }

    /// True if it has answered a real request and, as far as is known, would again.
    pub(crate) fn is_sound(&self) -> bool {
        let vitals = self.core.vitals();
        vitals.has_answered() && !matches!(vitals.status(), Status::Failed { .. } | Status::Broken { .. })
    }

    /// Lets a request in: takes a slot at once, and waits for a model that is still loading.
    pub(crate) async fn admit(&self, context: RequestContext) -> Result<Admission, Refusal> {
        if !self.config.tasks.contains(&context.task) {
            return Err(self.unsupported(&context));
        }
        let slot = self.take_slot()?;
        let mut changes = self.core.vitals().changes();
        let capabilities = loop {
            match self.core.demand() {
                Demand::Go(capabilities) => break capabilities,
                Demand::Wait => {}
                Demand::Gone => return Err(Refusal::Gone),
                Demand::Refused(error) => return Err(Refusal::Error(error)),
            }
            tokio::select! {
                () = changes.next() => {}
                () = context.cancel.cancelled() => return Err(Refusal::Error(Error::Cancelled)),
                () = tokio::time::sleep_until(context.deadline.into()) => {
                    self.core.shared().metrics.rejected(RejectReason::Deadline);
                    return Err(Refusal::Error(Error::Deadline));
                }
            }
        };
        if !can(&capabilities, context.task) {
            return Err(self.unsupported(&context));
        }
        Ok(Admission::new(
            self.summary(),
            Arc::clone(&self.core),
            capabilities,
            context,
            slot,
        ))
    }

    fn take_slot(&self) -> Result<Slot, Refusal> {
        let slots = self.core.slots();
        match slots.take(self.config.queue) {
            Some(slot) => Ok(slot),
            None if self.core.is_retired() => Err(Refusal::Gone),
            None => Err(Refusal::Error(Error::QueueFull {
                model: self.config.id.clone(),
                retry_after: slots.expected_wait(Instant::now()),
            })),
        }
    }

    fn unsupported(&self, context: &RequestContext) -> Refusal {
        Refusal::Error(Error::TaskUnsupported {
            model: self.config.id.clone(),
            task: context.task,
        })
    }
}

fn can(capabilities: &Capabilities, task: Task) -> bool {
    match task {
        Task::Embed => capabilities.embed.is_some(),
        Task::Chat => capabilities.chat.is_some(),
        Task::Image => capabilities.image.is_some(),
        Task::Transcribe => false,
    }
}
