//! One real tiny request of each kind: a model is ready once it has answered them.

use std::time::Instant;

use sensorium_contract::client::PluginClient;
use sensorium_contract::{
    Capabilities, ChatCapabilities, ChatEvent, ChatMessage, ChatParameter, ChatRequest, Conversation,
    EmbedCapabilities, EmbedInput, EmbedPayload, ImageCapabilities, ImageEvent, ImageParameter, ImageRequest, Modality,
    OutputFormat, Prompt, RgbImage, Role, Sampling, ToolChoice,
};

use super::start::StartFailure;

/// Steps of the tiny image: some samplers begin with several (PNDM's Runge-Kutta phase takes 4).
const TINY_STEPS: u32 = 4;

/// Asks for one tiny thing of each kind that the model can do.
///
/// # Errors
/// If it refuses one of them, or dies of it.
pub(super) async fn try_all(
    client: &PluginClient,
    capabilities: &Capabilities,
    deadline: Instant,
) -> Result<(), StartFailure> {
    if let Some(embed) = &capabilities.embed {
        try_embed(client, embed, deadline).await?;
    }
    if let Some(chat) = &capabilities.chat {
        try_chat(client, chat, deadline).await?;
    }
    if let Some(image) = &capabilities.image {
        try_image(client, image, deadline).await?;
    }
    Ok(())
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

/// One real tiny request: the smallest image, in few steps if that is the caller's to say.
async fn try_image(client: &PluginClient, image: &ImageCapabilities, deadline: Instant) -> Result<(), StartFailure> {
    let steps = if image.honours(ImageParameter::Steps) {
        image.default_steps.min(TINY_STEPS)
    } else {
        image.default_steps
    };
    let request = ImageRequest::new("ready", (image.min_side, image.min_side), steps, vec![0]);
    let mut call = client.imagine(request, Some(deadline)).await?;
    while let Some(event) = call.next().await? {
        if let ImageEvent::Refused(refused) = event {
            return Err(StartFailure::Refused(format!("it refuses a tiny image: {refused}")));
        }
    }
    Ok(())
}
