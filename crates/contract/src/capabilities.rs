//! What a loaded model can do. The host decides from this, never from a name.

use serde::{Deserialize, Serialize};

use crate::{ChatRequest, ImageCapabilities, Invalid, MAX_IMAGE_SIDE};

/// Longest vector that crosses the socket.
pub const MAX_WIDTH: u32 = 65_536;

/// What a loaded model can do.
#[derive(Debug, Clone, PartialEq)]
pub struct Capabilities {
    /// Identifies weights and configuration: equal revisions give equal results.
    pub revision: String,
    /// Bytes of device memory that the model holds.
    pub memory_bytes: u64,
    /// Who gathers requests into batches.
    pub batching: Batching,
    /// Most items in one call ([`Batching::Host`]) or most calls under way ([`Batching::Plugin`]); at least 1.
    pub max_batch: u32,
    /// Where it was loaded: `cpu`, `cuda:0`.
    pub device: String,
    /// In what precision it computes: `f32`, `f16`, `bf16`.
    pub dtype: String,
    /// Present if the model can embed.
    pub embed: Option<EmbedCapabilities>,
    /// Present if the model can chat or complete text.
    pub chat: Option<ChatCapabilities>,
    /// Present if the model can make images.
    pub image: Option<ImageCapabilities>,
}

/// Who gathers requests into batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batching {
    /// The host gathers waiting items into one call.
    Host,
    /// The plugin schedules concurrent calls itself.
    Plugin,
}

/// What an embedding model can do.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbedCapabilities {
    /// What it reads; at least one, no repeats.
    pub modalities: Vec<Modality>,
    /// Length of a vector. Vectors are L2-normalised by the plugin.
    pub width: u32,
    /// Longest text in tokens, special tokens included; 0 if it reads no text.
    pub context_length: u32,
    /// Whether prefixes of a vector are vectors; `None`: only the full width.
    pub matryoshka: Option<Matryoshka>,
    /// How a text scores against an image; `None`: no scores.
    pub scoring: Option<Scoring>,
    /// How images must be prepared; present exactly if it reads images.
    pub image: Option<ImageSpec>,
    /// True if ids of the model's own tokenizer are understood.
    pub token_ids: bool,
}

/// What a chat model can do.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatCapabilities {
    /// Prompt (with its images) and reply together, in tokens; at least 1.
    pub context_length: u32,
    /// What it honours beside messages, `max_tokens` and stop strings; no repeats.
    pub parameters: Vec<ChatParameter>,
    /// `None`: it reads no images.
    pub images: Option<ChatImages>,
    /// Size of the vocabulary: token ids are below it.
    pub vocabulary: u32,
    /// Most entries of `top_logprobs`.
    pub max_top_logprobs: u32,
}

/// How a chat model reads images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChatImages {
    /// How they must be prepared.
    pub spec: ImageSpec,
    /// Most of them in one conversation; at least 1.
    pub max_images: u32,
    /// Shortest side in pixels, before preparation, that the model can read; at least 1.
    pub min_side: u32,
}

/// What of a chat request a model honours; the host refuses the others by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatParameter {
    /// `temperature`.
    Temperature,
    /// `top_p`.
    TopP,
    /// `top_k`.
    TopK,
    /// `min_p`.
    MinP,
    /// `seed`: equal seeds give equal replies.
    Seed,
    /// `presence_penalty`.
    PresencePenalty,
    /// `frequency_penalty`.
    FrequencyPenalty,
    /// `repetition_penalty`.
    RepetitionPenalty,
    /// `logit_bias`.
    LogitBias,
    /// `logprobs` and `top_logprobs`.
    Logprobs,
    /// Tools in the prompt and calls of them in the reply, by every tool choice.
    Tools,
    /// Replies that are sure to be a JSON object.
    JsonObject,
    /// Replies that are sure to follow a schema.
    JsonSchema,
    /// Prompts without a conversation.
    Completion,
    /// Conversations: the model has a chat template.
    Conversation,
}

/// What an embedding model reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Modality {
    /// Text or token ids.
    Text,
    /// RGB pixels.
    Image,
}

/// The model was trained so that a prefix of a vector, normalised again, is a vector of
/// its own (Kusupati et al. 2022, <https://arxiv.org/abs/2205.13147>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matryoshka {
    /// The lengths trained for, each at most the width; empty: any from 1 to the width.
    pub dimensions: Vec<u32>,
}

/// How a text scores against an image of the same space.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scoring {
    /// What is done with the scaled cosines.
    pub rule: ScoringRule,
    /// Factor of the cosine, already exponentiated: CLIP's `exp(logit_scale)`.
    pub scale: f32,
    /// Added after scaling; 0 for CLIP.
    pub bias: f32,
}

/// What is done with scaled cosines to make scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScoringRule {
    /// Softmax over the candidates (CLIP, <https://arxiv.org/abs/2103.00020>).
    Softmax,
    /// Sigmoid of each candidate alone (SigLIP, <https://arxiv.org/abs/2303.15343>).
    Sigmoid,
}

/// The size and resampling that a model's own preprocessor asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ImageSpec {
    /// Width in pixels that the plugin receives; with [`ResizeMode::Fit`] the most.
    pub width: u32,
    /// Height in pixels that the plugin receives; with [`ResizeMode::Fit`] the most.
    pub height: u32,
    /// How an image of another size is brought to that size.
    pub mode: ResizeMode,
    /// Resampling filter.
    pub filter: Filter,
}

/// How an image is brought to the model's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResizeMode {
    /// Scale so that the shortest edge has this many pixels, then cut the centre, padding
    /// with black where the image is smaller than the cut.
    ShortestEdgeCrop {
        /// Length of the shortest edge after scaling, in pixels.
        shortest_edge: u32,
    },
    /// Scale to the size, whatever the aspect ratio.
    Squash,
    /// Scale down so that it fits into the size, keeping the aspect ratio; an image that fits stays as it is.
    Fit,
}

/// Resampling filters as Pillow defines them; all but `Nearest` antialias.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Filter {
    /// Nearest neighbour.
    Nearest,
    /// Box, support 0.5.
    Box,
    /// Triangle, support 1.
    Bilinear,
    /// Hamming, support 1.
    Hamming,
    /// Catmull-Rom (a = -0.5), support 2.
    Bicubic,
    /// Lanczos, support 3.
    Lanczos,
}

// === impl Capabilities ===

impl Capabilities {
    /// Checks what the types alone don't hold.
    ///
    /// # Errors
    /// The first field that breaks the contract.
    pub fn validate(&self) -> Result<(), Invalid> {
        if self.revision.is_empty() {
            return Err(Invalid::new("revision", "is empty; it is part of cache keys"));
        }
        if self.max_batch == 0 {
            return Err(Invalid::new("max_batch", "is 0; it is at least 1"));
        }
        self.embed.as_ref().map_or(Ok(()), EmbedCapabilities::validate)?;
        self.chat.as_ref().map_or(Ok(()), ChatCapabilities::validate)?;
        self.image.as_ref().map_or(Ok(()), ImageCapabilities::validate)
    }
}

// === impl ChatCapabilities ===

impl ChatCapabilities {
    /// Checks what the types alone don't hold.
    ///
    /// # Errors
    /// The first field that breaks the contract.
    pub fn validate(&self) -> Result<(), Invalid> {
        if self.context_length == 0 {
            return Err(Invalid::new("chat.context_length", "is 0; it is at least 1"));
        }
        let repeated = |(i, parameter)| self.parameters[..i].contains(parameter);
        if self.parameters.iter().enumerate().any(repeated) {
            return Err(Invalid::new("chat.parameters", "names one twice"));
        }
        if !self.honours(ChatParameter::Conversation) && !self.honours(ChatParameter::Completion) {
            return Err(Invalid::new(
                "chat.parameters",
                "names neither conversations nor completions",
            ));
        }
        if self.vocabulary == 0 {
            return Err(Invalid::new("chat.vocabulary", "is 0; it is at least 1"));
        }
        self.images.map_or(Ok(()), ChatImages::validate)
    }

    /// Checks that a request asks for nothing that the model doesn't list.
    ///
    /// # Errors
    /// The first field that does.
    pub fn check(&self, request: &ChatRequest) -> Result<(), Invalid> {
        crate::convert::check_request(request, self)
    }

    /// True if the model honours this.
    pub fn honours(&self, parameter: ChatParameter) -> bool {
        self.parameters.contains(&parameter)
    }
}

// === impl ChatImages ===

impl ChatImages {
    fn validate(self) -> Result<(), Invalid> {
        if self.max_images == 0 {
            return Err(Invalid::new("chat.images.max_images", "is 0; it is at least 1"));
        }
        if !(1..=MAX_IMAGE_SIDE).contains(&self.min_side) {
            return Err(Invalid::new(
                "chat.images.min_side",
                format!("is {} pixels", self.min_side),
            ));
        }
        self.spec.validate()
    }
}

// === impl EmbedCapabilities ===

impl EmbedCapabilities {
    /// Checks what the types alone don't hold.
    ///
    /// # Errors
    /// The first field that breaks the contract.
    pub fn validate(&self) -> Result<(), Invalid> {
        if self.modalities.is_empty() {
            return Err(Invalid::new("embed.modalities", "is empty; a model reads at least one"));
        }
        if self
            .modalities
            .iter()
            .enumerate()
            .any(|(i, m)| self.modalities[..i].contains(m))
        {
            return Err(Invalid::new("embed.modalities", "names one twice"));
        }
        if !(1..=MAX_WIDTH).contains(&self.width) {
            return Err(Invalid::new(
                "embed.width",
                format!("is {}; it is 1 to {MAX_WIDTH}", self.width),
            ));
        }
        if self.reads(Modality::Text) != (self.context_length > 0) {
            return Err(Invalid::new(
                "embed.context_length",
                "is positive exactly if the model reads text",
            ));
        }
        if self.token_ids && !self.reads(Modality::Text) {
            return Err(Invalid::new("embed.token_ids", "is true, but the model reads no text"));
        }
        if self.reads(Modality::Image) != self.image.is_some() {
            return Err(Invalid::new(
                "embed.image",
                "is present exactly if the model reads images",
            ));
        }
        self.matryoshka
            .as_ref()
            .map_or(Ok(()), |matryoshka| matryoshka.validate(self.width))?;
        self.scoring.map_or(Ok(()), Scoring::validate)?;
        self.image.map_or(Ok(()), ImageSpec::validate)
    }

    /// True if the model reads this modality.
    pub fn reads(&self, modality: Modality) -> bool {
        self.modalities.contains(&modality)
    }
}

// === impl Scoring ===

impl Scoring {
    fn validate(self) -> Result<(), Invalid> {
        if !self.scale.is_finite() || !self.bias.is_finite() {
            return Err(Invalid::new("embed.scoring", "has a scale or bias that is not finite"));
        }
        Ok(())
    }
}

// === impl ImageSpec ===

impl ImageSpec {
    fn validate(self) -> Result<(), Invalid> {
        let edge = match self.mode {
            ResizeMode::ShortestEdgeCrop { shortest_edge } => shortest_edge,
            ResizeMode::Squash | ResizeMode::Fit => self.width,
        };
        for (field, side) in [
            ("image.width", self.width),
            ("image.height", self.height),
            ("image.shortest_edge", edge),
        ] {
            if !(1..=MAX_IMAGE_SIDE).contains(&side) {
                return Err(Invalid::new(
                    field,
                    format!("is {side} pixels; it is 1 to {MAX_IMAGE_SIDE}"),
                ));
            }
        }
        Ok(())
    }
}

// === impl Matryoshka ===

impl Matryoshka {
    fn validate(&self, width: u32) -> Result<(), Invalid> {
        match self.dimensions.iter().find(|d| !(1..=width).contains(d)) {
            Some(d) => Err(Invalid::new(
                "matryoshka.dimensions",
                format!("has {d}; each is 1 to the width, {width}"),
            )),
            None => Ok(()),
        }
    }

    /// True if a vector of `width` numbers may be cut to `dimensions`.
    pub fn allows(&self, dimensions: u32, width: u32) -> bool {
        match self.dimensions.as_slice() {
            [] => (1..=width).contains(&dimensions),
            listed => dimensions == width || listed.contains(&dimensions),
        }
    }
}
