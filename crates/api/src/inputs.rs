//! From what a request holds to what a model reads: texts checked, token ids decoded, images
//! loaded and sized. It runs once the model's slot is taken, and not before.

use sensorium_engine::{
    Admission, EmbedCapabilities, EmbedInput, EmbedPayload, Error as EngineError, Modality, ModelSummary, Task,
    TokenInput, Truncate,
};
use sensorium_media::{MediaError, Reservation, Source};

use crate::error::ApiError;
use crate::images::{load, reserve};
use crate::state::AppState;
use crate::tokens::decode_cl100k;
use crate::wire::input::{ImageRef, Inputs, Item, check_text};

/// What the model reads, and the memory of its pixels.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The inputs, in the order of the request.
    pub(crate) inputs: Vec<EmbedInput>,
    /// To be held until the model has answered.
    pub(crate) pixels: Option<Reservation>,
}

/// What the model can do, if it embeds.
///
/// # Errors
/// If it doesn't.
pub(crate) fn embed_capabilities(admission: &Admission) -> Result<&EmbedCapabilities, ApiError> {
    let model = &admission.model().id;
    let unsupported = || EngineError::TaskUnsupported {
        model: model.clone(),
        task: Task::Embed,
    };
    Ok(admission.capabilities().embed.as_ref().ok_or_else(unsupported)?)
}

/// Whether long text is cut: as the request says, else as the registry does.
pub(crate) fn truncates(requested: Option<bool>, model: &ModelSummary) -> bool {
    requested.unwrap_or(match model.truncate {
        Truncate::Cut => true,
        Truncate::Error => false,
    })
}

/// Makes a request's inputs what the model reads, in their order.
///
/// # Errors
/// Naming the first input that the model doesn't read or that can't be had.
pub(crate) async fn prepare(
    state: &AppState,
    admission: &Admission,
    inputs: Inputs,
    truncate: bool,
) -> Result<Prepared, ApiError> {
    let embed = embed_capabilities(admission)?;
    let param = inputs.param;
    let names: Vec<String> = (0..inputs.items.len()).map(|index| inputs.name(index)).collect();
    let mut ready: Vec<Option<EmbedPayload>> = Vec::with_capacity(names.len());
    let mut sources = Vec::new();
    let mut places = Vec::new();
    for (index, item) in inputs.items.into_iter().enumerate() {
        let name = &names[index];
        check_modality(name, &item, embed)?;
        match item {
            Item::Text(text) => ready.push(Some(EmbedPayload::Text(text))),
            Item::Tokens(ids) => ready.push(Some(tokens(state, name, ids, admission.model(), embed).await?)),
            Item::Image(image) => {
                let source = source(image).map_err(|source| ApiError::Media {
                    param: name.clone(),
                    source,
                })?;
                sources.push(source);
                places.push(index);
                ready.push(None);
            }
        }
    }
    let mut pixels = None;
    if let (Some(spec), false) = (embed.image, sources.is_empty()) {
        pixels = Some(reserve(state, admission, sources.len(), spec, param).await?);
        let images = load(state, admission, sources, spec, |at| names[places[at]].clone()).await?;
        for (place, image) in places.into_iter().zip(images) {
            ready[place] = Some(EmbedPayload::Image(image.pixels));
        }
    }
    let inputs: Vec<EmbedInput> = ready
        .into_iter()
        .flatten()
        .map(|payload| EmbedInput { payload, truncate })
        .collect();
    if inputs.len() == names.len() {
        Ok(Prepared { inputs, pixels })
    } else {
        Err(ApiError::Internal("an input was lost"))
    }
}

fn check_modality(name: &str, item: &Item, embed: &EmbedCapabilities) -> Result<(), ApiError> {
    let (modality, what, other) = match item {
        Item::Text(_) | Item::Tokens(_) => (Modality::Text, "text", "images"),
        Item::Image(_) => (Modality::Image, "images", "text"),
    };
    if embed.reads(modality) {
        return Ok(());
    }
    Err(ApiError::invalid(
        name.to_owned(),
        format!("this model does not read {what}: send {other}"),
    ))
}

async fn tokens(
    state: &AppState,
    name: &str,
    ids: Vec<u32>,
    model: &ModelSummary,
    embed: &EmbedCapabilities,
) -> Result<EmbedPayload, ApiError> {
    match model.token_input {
        TokenInput::Cl100k => {
            let text = decode_cl100k(name, ids).await?;
            // One id may stand for a hundred bytes.
            check_text(name, &text, &state.config.limits)?;
            Ok(EmbedPayload::Text(text))
        }
        TokenInput::Native if embed.token_ids => Ok(EmbedPayload::TokenIds(ids)),
        TokenInput::Native | TokenInput::Reject => Err(ApiError::invalid(
            name.to_owned(),
            "this model does not take token ids: send text",
        )),
    }
}

/// Where an image is to be had.
///
/// # Errors
/// If it is nowhere.
pub(crate) fn source(image: ImageRef) -> Result<Source, MediaError> {
    match image {
        ImageRef::Reference(text) => Source::parse(text),
        ImageRef::Upload(bytes) => Ok(Source::Bytes(bytes)),
    }
}
