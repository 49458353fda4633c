//! From what a request holds to what a model reads: texts checked, token ids decoded, images
//! loaded and sized. It runs once the model's slot is taken, and not before.

use std::time::Instant;

use sensorium_engine::{
    Admission, EmbedCapabilities, EmbedInput, EmbedPayload, Error as EngineError, Filter, ImageSpec, Modality,
    ModelSummary, ResizeMode, RgbImage, Task, TokenInput, Truncate,
};
use sensorium_media::{MediaError, Pixels, Reservation, ResizeSpec, Source};

use crate::error::ApiError;
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
            ready[place] = Some(EmbedPayload::Image(image));
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
            let param = name.to_owned();
            // The first call reads a vocabulary of 100,000 entries.
            let text = tokio::task::spawn_blocking(move || decode_cl100k(&param, &ids)).await;
            let text = text.map_err(|_| ApiError::Internal("decoding token ids failed"))??;
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

fn source(image: ImageRef) -> Result<Source, MediaError> {
    match image {
        ImageRef::Reference(text) => Source::parse(text),
        ImageRef::Upload(bytes) => Ok(Source::Bytes(bytes)),
    }
}

/// The memory of all the images of a request at the size that the model reads.
async fn reserve(
    state: &AppState,
    admission: &Admission,
    count: usize,
    spec: ImageSpec,
    param: &'static str,
) -> Result<Reservation, ApiError> {
    let deadline = tokio::time::Instant::from_std(admission.deadline());
    let reserved = state.media.reserve_sized(count, &resize_spec(spec), deadline).await;
    reserved.map_err(|source| ApiError::Media {
        param: param.to_owned(),
        source,
    })
}

async fn load(
    state: &AppState,
    admission: &Admission,
    sources: Vec<Source>,
    spec: ImageSpec,
    name: impl Fn(usize) -> String,
) -> Result<Vec<RgbImage>, ApiError> {
    let start = Instant::now();
    let count = sources.len();
    let images = state
        .media
        .load_all(
            sources,
            Some(&resize_spec(spec)),
            tokio::time::Instant::from_std(admission.deadline()),
        )
        .await
        .map_err(|failed| ApiError::Media {
            param: name(failed.index),
            source: failed.error,
        })?;
    let metrics = state.engine.metrics();
    metrics.preprocess(&admission.model().id, start.elapsed());
    metrics.images(&admission.model().id, count);
    images.into_iter().map(|image| rgb(image.pixels)).collect()
}

fn rgb(pixels: Pixels) -> Result<RgbImage, ApiError> {
    RgbImage::new(pixels.width, pixels.height, pixels.rgb).map_err(|_| ApiError::Internal("pixels of no valid shape"))
}

fn resize_spec(spec: ImageSpec) -> ResizeSpec {
    use sensorium_media::{Filter as To, ResizeMode as Mode};
    ResizeSpec {
        width: spec.width,
        height: spec.height,
        mode: match spec.mode {
            ResizeMode::ShortestEdgeCrop { shortest_edge } => Mode::ShortestEdgeCrop { shortest_edge },
            ResizeMode::Squash => Mode::Squash,
        },
        filter: match spec.filter {
            Filter::Nearest => To::Nearest,
            Filter::Box => To::Box,
            Filter::Bilinear => To::Bilinear,
            Filter::Hamming => To::Hamming,
            Filter::Bicubic => To::Bicubic,
            Filter::Lanczos => To::Lanczos,
        },
    }
}
