//! Brings one process up: started, its model loaded, and ready by having answered real tiny requests.

use std::sync::Arc;
use std::time::Instant;

use sensorium_contract::client::{CallError, PluginClient};
use sensorium_contract::process::{Launch, PluginProcess, StartError};
use sensorium_contract::{Capabilities, Fault, LoadRequest};

use super::{logs, tiny};
use crate::Supervision;

/// All that it takes to bring up one instance, again and again.
#[derive(Debug, Clone)]
pub(crate) struct Blueprint {
    /// The model's id.
    pub(crate) model: String,
    /// The plugin's name.
    pub(crate) plugin: String,
    /// How its process is started.
    pub(crate) launch: Launch,
    /// What it is asked to load.
    pub(crate) load: LoadRequest,
}

/// A process that has answered.
pub(super) struct Started {
    pub(super) process: PluginProcess,
    pub(super) capabilities: Arc<Capabilities>,
}

/// Why there is none.
#[derive(Debug)]
pub(super) enum StartFailure {
    /// The plugin refused the model or its options: trying again would change nothing.
    Refused(String),
    /// The process died, failed or took too long.
    Died(String),
}

/// Starts the process, loads the model and tries it.
pub(super) async fn start(blueprint: &Blueprint, supervision: &Supervision) -> Result<Started, StartFailure> {
    let Blueprint {
        model,
        plugin,
        launch,
        load,
    } = blueprint;
    let logs = {
        let (model, plugin) = (model.clone(), plugin.clone());
        move |line| logs::forward(&model, &plugin, line)
    };
    let process = PluginProcess::start(launch, logs)
        .await
        .map_err(|error| StartFailure::Died(error.to_string()))?;
    tracing::info!(%model, %plugin, pid = process.pid(), device = load.device, "loading the model");
    let client = process.client();
    let deadline = Instant::now() + supervision.load_timeout;
    let answered = tokio::time::timeout_at(deadline.into(), load_and_try(&client, load, deadline));
    let outcome = answered.await.unwrap_or_else(|_| Err(timed_out(supervision)));
    match outcome {
        Ok(capabilities) => Ok(Started {
            process,
            capabilities: Arc::new(capabilities),
        }),
        // How it died says more than that the connection broke.
        Err(StartFailure::Died(reason)) => Err(StartFailure::Died(match super::watch::last_words(&process).await {
            Some(cause) => format!("its process ended while it loaded: {cause}"),
            None => reason,
        })),
        Err(refused) => Err(refused),
    }
}

async fn load_and_try(
    client: &PluginClient,
    load: &LoadRequest,
    deadline: Instant,
) -> Result<Capabilities, StartFailure> {
    let model = load.model.as_str();
    let progress = |progress: sensorium_contract::LoadProgress| {
        tracing::debug!(
            model,
            stage = progress.stage,
            done = progress.done,
            total = progress.total,
            "loading"
        );
    };
    let capabilities = client.load(load, progress).await?;
    tiny::try_all(client, &capabilities, deadline).await?;
    Ok(capabilities)
}

fn timed_out(supervision: &Supervision) -> StartFailure {
    StartFailure::Died(format!("it was not ready within {:?}", supervision.load_timeout))
}

// === impl StartFailure ===

impl From<StartError> for StartFailure {
    fn from(error: StartError) -> Self {
        match error {
            // It is no plugin, or one of another time: it would be so again.
            StartError::Handshake { .. } | StartError::Protocol { .. } => StartFailure::Refused(error.to_string()),
            error => StartFailure::Died(error.to_string()),
        }
    }
}

impl From<CallError> for StartFailure {
    fn from(error: CallError) -> Self {
        match error.fault() {
            Some(Fault::Caller | Fault::Model) => StartFailure::Refused(error.to_string()),
            Some(Fault::Instance) | None => StartFailure::Died(error.to_string()),
        }
    }
}
