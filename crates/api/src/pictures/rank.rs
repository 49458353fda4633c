//! Which images are best: by the cosine of image and prompt in the space of a model that was trained to match them
//! (CLIP, Radford et al. 2021; as CLIPScore, Hessel et al. 2021, <https://arxiv.org/abs/2104.08718>).

use std::borrow::Cow;

use sensorium_engine::{
    Admission, EmbedCapabilities, EmbedInput, Embedding, ImageSpec, Modality, ModelSummary, RequestContext, RgbImage,
    Task,
};
use sensorium_media::Pixels;

use crate::error::ApiError;
use crate::images::resize_spec;
use crate::state::AppState;

/// The model that ranks, with a slot for one request.
pub(crate) struct Scorer {
    admission: Admission,
    spec: ImageSpec,
}

/// An image's place among all that were made, and how well it fits the prompt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ranked {
    /// The place of its seed.
    pub(crate) index: usize,
    /// -1 to 1.
    pub(crate) score: f32,
}

// === impl Scorer ===

impl Scorer {
    /// Takes a slot of the model that the server's configuration names, or else of the only one that can rank.
    ///
    /// # Errors
    /// Naming `best_of` if there is no such model; if it can't be admitted now.
    pub(crate) async fn admit(state: &AppState, context: &RequestContext) -> Result<Self, ApiError> {
        let model = match &state.config.scoring_model {
            Some(name) => name.clone(),
            None => only_one(&state.engine.models())?,
        };
        let context = RequestContext {
            task: Task::Embed,
            ..context.clone()
        };
        let admission = state.engine.admit(&model, context).await.map_err(|source| {
            let param = Some(Cow::Borrowed("best_of"));
            ApiError::Engine { param, source }
        })?;
        let embed = admission.capabilities().embed.as_ref();
        match embed.filter(|embed| can_rank(embed)).and_then(|embed| embed.image) {
            Some(spec) => Ok(Self { admission, spec }),
            None => Err(no_scorer(&format!(
                "the server's scoring model '{model}' does not match images with text"
            ))),
        }
    }

    /// The best `n` images, best first.
    ///
    /// # Errors
    /// What the scoring model failed with.
    pub(crate) async fn best(
        &self,
        state: &AppState,
        prompt: &str,
        images: &[RgbImage],
        n: usize,
    ) -> Result<Vec<Ranked>, ApiError> {
        let mut inputs = vec![EmbedInput::text(prompt, true)];
        for image in images {
            inputs.push(EmbedInput::image(self.sized(state, image).await?));
        }
        let vectors = self.admission.embed(inputs).await?;
        let (text, images) = vectors
            .split_first()
            .ok_or(ApiError::Internal("the engine lost a vector"))?;
        let mut ranked: Vec<Ranked> = images
            .iter()
            .enumerate()
            .map(|(index, image)| Ranked {
                index,
                score: cosine(text, image),
            })
            .collect();
        // Equal ones stay in the order of their seeds.
        ranked.sort_by(|a, b| b.score.total_cmp(&a.score));
        ranked.truncate(n);
        Ok(ranked)
    }

    async fn sized(&self, state: &AppState, image: &RgbImage) -> Result<RgbImage, ApiError> {
        let pixels = Pixels {
            width: image.width(),
            height: image.height(),
            rgb: image.as_bytes().to_vec(),
            alpha: None,
        };
        let sized = state.media.resize(pixels, resize_spec(self.spec)).await;
        let sized = sized.map_err(|_| ApiError::Internal("an image can't be sized for ranking"))?;
        RgbImage::new(sized.width, sized.height, sized.rgb).map_err(|_| ApiError::Internal("pixels of no valid shape"))
    }
}

/// Both are unit vectors.
fn cosine(a: &Embedding, b: &Embedding) -> f32 {
    let sum: f64 = a
        .values
        .iter()
        .zip(&b.values)
        .map(|(x, y)| f64::from(*x) * f64::from(*y))
        .sum();
    sum.clamp(-1.0, 1.0) as f32
}

/// The one model that is known to match images with text.
fn only_one(models: &[ModelSummary]) -> Result<String, ApiError> {
    let able = |model: &&ModelSummary| {
        let embed = model.capabilities.as_deref().and_then(|c| c.embed.as_ref());
        embed.is_some_and(can_rank)
    };
    let able: Vec<&str> = models.iter().filter(able).map(|model| model.id.as_str()).collect();
    match able.as_slice() {
        [one] => Ok((*one).to_owned()),
        [] => Err(no_scorer(
            "no model is loaded that matches images with text: serve one, as CLIP, or leave best_of out",
        )),
        several => Err(no_scorer(&format!(
            "several models match images with text ({}): the server's --scoring-model is to name one",
            several.join(", ")
        ))),
    }
}

fn can_rank(embed: &EmbedCapabilities) -> bool {
    embed.reads(Modality::Text) && embed.reads(Modality::Image) && embed.scoring.is_some()
}

fn no_scorer(reason: &str) -> ApiError {
    ApiError::unsupported("best_of", format!("best_of is not supported here: {reason}"))
}
