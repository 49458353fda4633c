//! From what a chat or a completion holds to what the model reads: images loaded and sized, token ids told apart. It
//! runs once the model's slot is taken, and not before. A chat without images has nothing to do with media.

use sensorium_engine::{
    Admission, ChatCapabilities, ChatImages, ChatMessage, ChatPart, ChatRequest, Conversation, OutputFormat, Prompt,
    TokenInput,
};
use sensorium_media::{Reservation, Source};

use crate::body::Reservation as BodyReservation;
use crate::error::ApiError;
use crate::images::{Loaded, load, reserve};
use crate::state::AppState;
use crate::tokens::decode_cl100k;
use crate::wire::chat::message::Message;
use crate::wire::chat::part::Part;
use crate::wire::chat::tool::Tools;
use crate::wire::completions::request::{PromptItem, Prompts};

/// A conversation that the model can read, and the memory of its pixels.
#[derive(Debug)]
pub(crate) struct Ready {
    /// The conversation.
    pub(crate) conversation: Conversation,
    /// To be held until the model has read it.
    pub(crate) pixels: Option<Reservation>,
}

/// Makes messages and tools what the model reads.
///
/// # Errors
/// Naming the first image that the model doesn't read or that can't be had.
pub(crate) async fn converse(
    state: &AppState,
    admission: &Admission,
    chat: &ChatCapabilities,
    mut messages: Vec<Message>,
    tools: Tools,
) -> Result<Ready, ApiError> {
    let (sources, names) = take_sources(&mut messages, chat.images)?;
    let mut images = Vec::new();
    let mut pixels = None;
    if let (Some(spec), false) = (chat.images, sources.is_empty()) {
        let mut reserved = reserve(state, admission, sources.len(), spec.spec, "messages").await?;
        images = load(state, admission, sources, spec.spec, |at| names[at].clone()).await?;
        check_sides(&images, &names, spec.min_side)?;
        reserved.shrink_to(images.iter().map(|image| image.pixels.as_bytes().len() as u64).sum());
        pixels = Some(reserved);
    }
    let mut images = images.into_iter();
    let messages = messages.into_iter().map(|message| turn(message, &mut images));
    let conversation = Conversation {
        messages: messages.collect::<Result<_, _>>()?,
        tools: tools.tools,
        tool_choice: tools.choice,
        parallel_tool_calls: tools.parallel,
    };
    Ok(Ready { conversation, pixels })
}

/// Makes prompts what the model reads, and tells the text of each if `echo` asks for it.
///
/// # Errors
/// Naming the first prompt that the model doesn't read.
pub(crate) async fn complete(
    state: &AppState,
    admission: &Admission,
    chat: &ChatCapabilities,
    prompts: Prompts,
    echo: bool,
) -> Result<Vec<Prompt>, ApiError> {
    let names: Vec<String> = (0..prompts.items.len()).map(|index| prompts.name(index)).collect();
    let mut ready = Vec::with_capacity(names.len());
    for (name, item) in names.iter().zip(prompts.items) {
        let bad = |message: String| Err(ApiError::invalid(name.clone(), message));
        ready.push(match (item, admission.model().token_input) {
            (PromptItem::Text(text), _) => Prompt::Text(text),
            (PromptItem::Tokens(ids), TokenInput::Cl100k) => Prompt::Text(decode_cl100k(name, ids).await?),
            (PromptItem::Tokens(_), TokenInput::Native) if echo => {
                return bad(format!("{name} can't be echoed: it is token ids; send text"));
            }
            (PromptItem::Tokens(ids), TokenInput::Native) => match ids.iter().find(|id| **id >= chat.vocabulary) {
                None => Prompt::TokenIds(ids),
                Some(id) => {
                    let last = chat.vocabulary - 1;
                    return bad(format!(
                        "{name} has the token id {id}; the model's vocabulary ends at {last}"
                    ));
                }
            },
            (PromptItem::Tokens(_), TokenInput::Reject) => {
                return bad("this model does not take token ids: send text".to_owned());
            }
        });
    }
    let bytes: usize = ready.iter().map(prompt_bytes).sum();
    if bytes > state.config.limits.prompt_bytes {
        // One id may stand for a hundred bytes.
        return Err(ApiError::invalid("prompt", "prompt is too long: send less"));
    }
    Ok(ready)
}

/// The memory of the copies of a prompt, and of a reply's schema, that a request for several choices needs.
///
/// # Errors
/// Naming `n` if there is never so much; if there is not now.
pub(crate) fn reserve_copies(
    state: &AppState,
    prompts: &[Prompt],
    format: &OutputFormat,
    n: u32,
) -> Result<Option<BodyReservation>, ApiError> {
    if n == 1 {
        return Ok(None);
    }
    let schema = match format {
        OutputFormat::JsonSchema(schema) => schema_bytes(schema),
        OutputFormat::Text | OutputFormat::JsonObject => 0,
    };
    let bytes = prompts.iter().map(prompt_bytes).sum::<usize>() + schema;
    let copies = bytes as u64 * u64::from(n.saturating_sub(1));
    match copies {
        0 => Ok(None),
        copies if copies > state.config.body_budget / 2 => Err(ApiError::invalid(
            "n",
            "n is too many for a prompt of this length: ask for fewer",
        )),
        copies => state.bodies.take(copies).map(Some),
    }
}

/// One request for each choice, all of a prompt's in a row.
pub(crate) fn requests(prompts: Vec<Prompt>, n: u32, make: impl Fn(Prompt, u32) -> ChatRequest) -> Vec<ChatRequest> {
    let each = prompts
        .into_iter()
        .flat_map(|prompt| (0..n).zip(std::iter::repeat_n(prompt, n as usize)));
    each.map(|(choice, prompt)| make(prompt, choice)).collect()
}

/// Takes the references of all images out of the messages, and says where they were.
fn take_sources(messages: &mut [Message], images: Option<ChatImages>) -> Result<(Vec<Source>, Vec<String>), ApiError> {
    let (mut sources, mut names) = (Vec::new(), Vec::new());
    for part in messages.iter_mut().flat_map(|message| &mut message.parts) {
        let Part::Image { reference, at } = part else { continue };
        let (reference, at) = (std::mem::take(reference), std::mem::take(at));
        let Some(images) = images else {
            return Err(ApiError::invalid(at, "this model reads no images: send text alone"));
        };
        if sources.len() as u64 >= u64::from(images.max_images) {
            let most = images.max_images;
            let message = format!("{at}: this model reads at most {most} images in a conversation: send fewer");
            return Err(ApiError::invalid(at, message));
        }
        let source = Source::parse(reference).map_err(|source| ApiError::Media {
            param: at.clone(),
            source,
        })?;
        sources.push(source);
        names.push(at);
    }
    Ok((sources, names))
}

fn check_sides(images: &[Loaded], names: &[String], least: u32) -> Result<(), ApiError> {
    for (image, name) in images.iter().zip(names) {
        let (width, height) = image.sides;
        if width.min(height) < least {
            let message = format!(
                "{name}: the image has {width}×{height} pixels; this model reads none with a side under {least}"
            );
            return Err(ApiError::invalid(name.clone(), message));
        }
    }
    Ok(())
}

fn turn(message: Message, images: &mut impl Iterator<Item = Loaded>) -> Result<ChatMessage, ApiError> {
    let parts = message.parts.into_iter().map(|part| match part {
        Part::Text(text) => Ok(ChatPart::Text(text)),
        Part::Image { .. } => match images.next() {
            Some(image) => Ok(ChatPart::Image(image.pixels)),
            None => Err(ApiError::Internal("an image was lost")),
        },
    });
    Ok(ChatMessage {
        role: message.role,
        parts: parts.collect::<Result<_, _>>()?,
        tool_calls: message.tool_calls,
        tool_call_id: message.tool_call_id,
        name: message.name,
    })
}

/// Bytes that a copy of a prompt takes; pixels are shared.
fn prompt_bytes(prompt: &Prompt) -> usize {
    match prompt {
        Prompt::Text(text) => text.len(),
        Prompt::TokenIds(ids) => size_of_val(ids.as_slice()),
        Prompt::Conversation(conversation) => {
            let messages = conversation.messages.iter().map(message_bytes);
            let tools = conversation.tools.iter().map(|tool| {
                let schema = tool.parameters.as_ref().map_or(0, schema_bytes);
                tool.name.len() + tool.description.as_ref().map_or(0, String::len) + schema
            });
            messages.sum::<usize>() + tools.sum::<usize>()
        }
    }
}

/// A parsed schema takes about eight times its text.
fn schema_bytes(schema: &serde_json::Value) -> usize {
    8 * schema.to_string().len()
}

fn message_bytes(message: &ChatMessage) -> usize {
    let parts = message.parts.iter().map(|part| match part {
        ChatPart::Text(text) => text.len(),
        ChatPart::Image(_) => 0,
    });
    let calls = message.tool_calls.iter().map(|call| call.arguments.len());
    size_of::<ChatMessage>() + parts.sum::<usize>() + calls.sum::<usize>()
}
