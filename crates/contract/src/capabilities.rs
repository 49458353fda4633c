//! What a loaded model can do. The host decides from this, never from a name.

use serde::{Deserialize, Serialize};

/// What a loaded model can do.
#[derive(Debug, Clone, PartialEq)]
pub struct Capabilities {
    /// Identifies weights and configuration: equal revisions give equal results.
    pub revision: String,
    /// Bytes of device memory that the model holds.
    pub memory_bytes: u64,
    /// Who gathers requests into batches.
    pub batching: Batching,
    /// Most items in one call; at least 1.
    pub max_batch: u32,
    /// Where it was loaded: `cpu`, `cuda:0`.
    pub device: String,
    /// In what precision it computes: `f32`, `f16`, `bf16`.
    pub dtype: String,
    /// Present if the model can embed.
    pub embed: Option<EmbedCapabilities>,
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
    /// Width in pixels that the plugin receives.
    pub width: u32,
    /// Height in pixels that the plugin receives.
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

// === impl EmbedCapabilities ===

impl EmbedCapabilities {
    /// True if the model reads this modality.
    pub fn reads(&self, modality: Modality) -> bool {
        self.modalities.contains(&modality)
    }
}

// === impl Matryoshka ===

impl Matryoshka {
    /// True if a vector of `width` numbers may be cut to `dimensions`.
    pub fn allows(&self, dimensions: u32, width: u32) -> bool {
        match self.dimensions.as_slice() {
            [] => (1..=width).contains(&dimensions),
            listed => dimensions == width || listed.contains(&dimensions),
        }
    }
}
