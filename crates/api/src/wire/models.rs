//! `GET /v1/models`: OpenAI's object with what this server knows beside.

use sensorium_engine::{
    ChatCapabilities, ChatImages, ChatParameter, EmbedCapabilities, ImageCapabilities, ImageParameter, Modality,
    ModelState, ModelSummary, ScoringRule,
};
use serde::Serialize;
use utoipa::ToSchema;

/// All names under which models answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelList {
    /// Always `list`.
    #[schema(example = "list")]
    pub(crate) object: &'static str,
    /// Ids in the order of the registry, each followed by its aliases: both may be used as `model`.
    pub(crate) data: Vec<ModelObject>,
}

/// A model, under its id or one of its aliases.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelObject {
    /// What to send as `model`.
    #[schema(example = "shapes-clip")]
    pub(crate) id: String,
    /// Always `model`.
    #[schema(example = "model")]
    pub(crate) object: &'static str,
    /// When its entry was read, in seconds of Unix time.
    #[schema(example = 1_780_000_000)]
    pub(crate) created: u64,
    /// Always `sensorium`.
    #[schema(example = "sensorium")]
    pub(crate) owned_by: &'static str,
    /// The id of the model that an alias stands for; equal to `id` for the model itself.
    #[schema(example = "shapes-clip")]
    pub(crate) root: String,
    /// Its other names.
    pub(crate) aliases: Vec<String>,
    /// The plugin that serves it.
    #[schema(example = "candle")]
    pub(crate) plugin: String,
    /// `unloaded`, `loading`, `ready`, `failed` or `broken`.
    #[schema(example = "ready")]
    pub(crate) state: &'static str,
    /// What it can do: `embed`, `classify`, `chat`, `complete`, `image`. Known once it has been loaded.
    pub(crate) tasks: Vec<&'static str>,
    /// What embedding with it gives. Known once it has been loaded.
    pub(crate) embedding: Option<EmbeddingInfo>,
    /// What it does in a chat or a completion. Known once it has been loaded.
    pub(crate) chat: Option<ChatInfo>,
    /// Which images it makes. Known once it has been loaded.
    pub(crate) image: Option<ImageInfo>,
}

/// Which images a model makes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImageInfo {
    /// What is made unless another size is asked for.
    #[schema(example = "128x128")]
    pub(crate) default_size: String,
    /// Shortest side in pixels.
    #[schema(example = 64)]
    pub(crate) min_side: u32,
    /// Longest side in pixels.
    #[schema(example = 256)]
    pub(crate) max_side: u32,
    /// Every side is a multiple of this.
    #[schema(example = 8)]
    pub(crate) side_multiple: u32,
    /// Most pixels of one image.
    #[schema(example = 65536)]
    pub(crate) max_pixels: u64,
    /// Most images of one request.
    #[schema(example = 8)]
    pub(crate) max_images: u32,
    /// Denoise steps unless others are asked for.
    #[schema(example = 20)]
    pub(crate) default_steps: u32,
    /// Most denoise steps.
    #[schema(example = 100)]
    pub(crate) max_steps: u32,
    /// Guidance unless another is asked for; `null` if it isn't guided.
    #[schema(example = 7.5)]
    pub(crate) default_guidance_scale: Option<f32>,
    /// Longest prompt in tokens.
    #[schema(example = 77)]
    pub(crate) context_length: u32,
    /// What it honours beside prompt, size and `n`; what is not listed is refused by name.
    #[schema(value_type = Vec<String>, example = json!(["seed", "steps", "guidance_scale", "mask"]))]
    pub(crate) parameters: Vec<ImageParameter>,
    /// What `scheduler` may be; the first is its own.
    #[schema(example = json!(["DPMSolverMultistepScheduler", "EulerDiscreteScheduler"]))]
    pub(crate) schedulers: Vec<String>,
    /// What `loras` may name.
    pub(crate) loras: Vec<String>,
}

/// What a model does in a chat or a completion.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChatInfo {
    /// Prompt, with its images, and reply together, in tokens.
    #[schema(example = 2048)]
    pub(crate) context_length: u32,
    /// What it reads: `text`, `image`.
    pub(crate) modalities: Vec<ModalityKind>,
    /// What it honours beside messages, the number of tokens and `stop`; what is not listed is refused by name.
    #[schema(value_type = Vec<String>, example = json!(["temperature", "top_p", "seed", "tools", "json_schema"]))]
    pub(crate) parameters: Vec<ChatParameter>,
    /// Which images it reads; `null` if none.
    pub(crate) images: Option<ChatImagesInfo>,
}

/// Which images a chat may have.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChatImagesInfo {
    /// Most of them in one conversation.
    #[schema(example = 8)]
    pub(crate) max_images: u32,
    /// Shortest side in pixels.
    #[schema(example = 14)]
    pub(crate) min_side: u32,
}

/// What embedding with a model gives.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EmbeddingInfo {
    /// Length of its vectors.
    #[schema(example = 256)]
    pub(crate) dimensions: u32,
    /// Shorter lengths that `dimensions` may ask for: absent if none, empty if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) shorter_dimensions: Option<Vec<u32>>,
    /// What it reads: `text`, `image`.
    pub(crate) modalities: Vec<ModalityKind>,
    /// Longest text in tokens.
    #[schema(example = 77)]
    pub(crate) context_length: u32,
    /// How `/v1/classify` scores: `softmax`, `sigmoid`, or `null` if it can't.
    pub(crate) scoring: Option<&'static str>,
}

/// What a model reads.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Modality)]
pub(crate) enum ModalityKind {
    /// Text.
    Text,
    /// Images.
    Image,
}

// === impl ModelObject ===

impl ModelObject {
    /// The model under one of its names.
    pub(crate) fn named(name: &str, model: &ModelSummary) -> Self {
        let capabilities = model.capabilities.as_deref();
        let embed = capabilities.and_then(|capabilities| capabilities.embed.as_ref());
        let chat = capabilities.and_then(|capabilities| capabilities.chat.as_ref());
        let image = capabilities.and_then(|capabilities| capabilities.image.as_ref());
        let mut tasks = Vec::new();
        if let Some(embed) = embed {
            tasks.push("embed");
            if embed.scoring.is_some() {
                tasks.push("classify");
            }
        }
        if let Some(chat) = chat {
            let names = [
                (ChatParameter::Conversation, "chat"),
                (ChatParameter::Completion, "complete"),
            ];
            tasks.extend(
                names
                    .into_iter()
                    .filter(|(parameter, _)| chat.honours(*parameter))
                    .map(|(_, name)| name),
            );
        }
        tasks.extend(image.map(|_| "image"));
        Self {
            id: name.to_owned(),
            object: "model",
            created: model.created,
            owned_by: "sensorium",
            root: model.id.clone(),
            aliases: model.aliases.clone(),
            plugin: model.plugin.clone(),
            state: state_name(&model.state),
            tasks,
            embedding: embed.map(EmbeddingInfo::from),
            chat: chat.map(ChatInfo::from),
            image: image.map(ImageInfo::from),
        }
    }
}

// === impl ImageInfo ===

impl From<&ImageCapabilities> for ImageInfo {
    fn from(image: &ImageCapabilities) -> Self {
        Self {
            default_size: format!("{}x{}", image.default_width, image.default_height),
            min_side: image.min_side,
            max_side: image.max_side,
            side_multiple: image.side_multiple,
            max_pixels: image.max_pixels,
            max_images: image.max_images,
            default_steps: image.default_steps,
            max_steps: image.max_steps,
            default_guidance_scale: image.default_guidance_scale,
            context_length: image.context_length,
            parameters: image.parameters.clone(),
            schedulers: image.schedulers.clone(),
            loras: image.loras.clone(),
        }
    }
}

// === impl ChatInfo ===

impl From<&ChatCapabilities> for ChatInfo {
    fn from(chat: &ChatCapabilities) -> Self {
        let mut modalities = vec![ModalityKind::Text];
        modalities.extend(chat.images.map(|_| ModalityKind::Image));
        Self {
            context_length: chat.context_length,
            modalities,
            parameters: chat.parameters.clone(),
            images: chat.images.map(
                |ChatImages {
                     max_images, min_side, ..
                 }| ChatImagesInfo { max_images, min_side },
            ),
        }
    }
}

// === impl EmbeddingInfo ===

impl From<&EmbedCapabilities> for EmbeddingInfo {
    fn from(embed: &EmbedCapabilities) -> Self {
        Self {
            dimensions: embed.width,
            shorter_dimensions: embed
                .matryoshka
                .as_ref()
                .map(|matryoshka| matryoshka.dimensions.clone()),
            modalities: embed
                .modalities
                .iter()
                .map(|modality| ModalityKind::from(*modality))
                .collect(),
            context_length: embed.context_length,
            scoring: embed.scoring.map(|scoring| match scoring.rule {
                ScoringRule::Softmax => "softmax",
                ScoringRule::Sigmoid => "sigmoid",
            }),
        }
    }
}

// === impl ModalityKind ===

impl From<Modality> for ModalityKind {
    fn from(modality: Modality) -> Self {
        match modality {
            Modality::Text => Self::Text,
            Modality::Image => Self::Image,
        }
    }
}

/// The state in one word. Why a model failed goes to the log, not to clients.
pub(crate) fn state_name(state: &ModelState) -> &'static str {
    match state {
        ModelState::Unloaded => "unloaded",
        ModelState::Loading => "loading",
        ModelState::Ready => "ready",
        ModelState::Failed { .. } => "failed",
        ModelState::Broken { .. } => "broken",
    }
}
