//! Brings one process up: started, its model loaded, and ready by having answered real tiny requests.

use std::sync::Arc;
use std::time::Instant;

use sensorium_contract::client::{CallError, PluginClient};
use sensorium_contract::process::{Launch, PluginProcess, StartError};
use sensorium_contract::{
    Capabilities, ChatCapabilities, ChatEvent, ChatMessage, ChatParameter, ChatRequest, Conversation,
    EmbedCapabilities, EmbedInput, EmbedPayload, Fault, LoadRequest, Modality, OutputFormat, Prompt, RgbImage, Role,
    Sampling, ToolChoice,
};

use super::logs;
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
    if let Some(embed) = &capabilities.embed {
        try_embed(client, embed, deadline).await?;
    }
    if let Some(chat) = &capabilities.chat {
        try_chat(client, chat, deadline).await?;
    }
    Ok(capabilities)
}

/// One real tiny request for each modality.
async fn try_embed(client: &PluginClient, embed: &EmbedCapabilities, deadline: Instant) -> Result<(), StartFailure> {
    for modality in &embed.modalities {
        let input = EmbedInput {
            payload: tiny(*modality, embed)?,
            truncate: true,
        };
        let results = client.embed(vec![input], embed.width, Some(deadline)).await?;
        if let Some(Err(error)) = results.into_iter().next() {
            return Err(StartFailure::Refused(
                format!("it can't embed a tiny {modality:?}: {error}").to_lowercase(),
            ));
        }
    }
    Ok(())
}

/// One real tiny request: a word, and one token for a reply.
async fn try_chat(client: &PluginClient, chat: &ChatCapabilities, deadline: Instant) -> Result<(), StartFailure> {
    let mut call = client.chat(tiny_chat(chat), Some(deadline)).await?;
    while let Some(event) = call.next().await? {
        if let ChatEvent::Refused(refused) = event {
            return Err(StartFailure::Refused(format!("it refuses a tiny prompt: {refused}")));
        }
    }
    Ok(())
}

fn tiny_chat(chat: &ChatCapabilities) -> ChatRequest {
    let prompt = if chat.honours(ChatParameter::Conversation) {
        Prompt::Conversation(Conversation {
            messages: vec![ChatMessage::text(Role::User, "ready?")],
            tools: Vec::new(),
            tool_choice: ToolChoice::None,
            parallel_tool_calls: false,
        })
    } else {
        Prompt::Text("ready".to_owned())
    };
    ChatRequest {
        prompt,
        sampling: Sampling {
            temperature: chat.honours(ChatParameter::Temperature).then_some(0.0),
            ..Sampling::default()
        },
        max_tokens: Some(1),
        stop: Vec::new(),
        top_logprobs: None,
        format: OutputFormat::Text,
    }
}

fn tiny(modality: Modality, embed: &EmbedCapabilities) -> Result<EmbedPayload, StartFailure> {
    match (modality, &embed.image) {
        (Modality::Image, Some(spec)) => {
            let black = vec![0; spec.width as usize * spec.height as usize * 3];
            let image = RgbImage::new(spec.width, spec.height, black);
            image
                .map(EmbedPayload::Image)
                .map_err(|error| StartFailure::Refused(error.to_string()))
        }
        (Modality::Image, None) => Err(StartFailure::Refused(
            "it reads images but gives no image spec".to_owned(),
        )),
        (Modality::Text, _) => Ok(EmbedPayload::Text("ready".to_owned())),
    }
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
