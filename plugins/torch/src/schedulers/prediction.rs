//! What a model predicts, and how that becomes an estimate of the clean sample.

use tch::{Kind, Tensor};

/// What a model was trained to predict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PredictionType {
    /// The noise (Ho et al. 2020).
    Epsilon,
    /// √ᾱ · noise - √(1-ᾱ) · clean (Salimans & Ho 2022).
    Velocity,
    /// The clean sample.
    Sample,
}

/// What is done with estimates that leave the range of pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Clip {
    /// Nothing.
    None,
    /// Cut to ± this.
    Range(f64),
    /// Dynamic thresholding (Saharia et al. 2022): cut to a percentile of each image, which is then scaled to 1.
    Dynamic {
        /// Share of numbers that are left as they are.
        ratio: f64,
        /// Largest cut.
        max: f64,
    },
}

// === impl PredictionType ===

impl PredictionType {
    /// Clean sample and noise, where `sample` = √ᾱ · clean + √(1-ᾱ) · noise.
    pub(super) fn split(self, output: &Tensor, sample: &Tensor, alpha: f64) -> (Tensor, Tensor) {
        let (signal, noise) = (alpha.sqrt(), (1.0 - alpha).sqrt());
        match self {
            Self::Epsilon => ((sample - output * noise) / signal, output.shallow_clone()),
            Self::Velocity => (sample * signal - output * noise, output * signal + sample * noise),
            Self::Sample => (output.shallow_clone(), (sample - output * signal) / noise),
        }
    }

    /// Clean sample, where `sample` = clean + σ · noise, and the model has seen it divided by √(σ²+1).
    pub(super) fn clean(self, output: &Tensor, sample: &Tensor, sigma: f64) -> Tensor {
        let variance = sigma * sigma + 1.0;
        match self {
            Self::Epsilon => sample - output * sigma,
            Self::Velocity => output * (-sigma / variance.sqrt()) + sample / variance,
            Self::Sample => output.shallow_clone(),
        }
    }
}

// === impl Clip ===

impl Clip {
    /// Does it.
    pub(super) fn apply(self, estimate: Tensor) -> Tensor {
        match self {
            Self::None => estimate,
            Self::Range(range) => estimate.clamp(-range, range),
            Self::Dynamic { ratio, max } => {
                let size = estimate.size();
                let flat = estimate.flatten(1, -1);
                let cut = flat
                    .abs()
                    .quantile_scalar(ratio, 1, true, "linear")
                    .clamp(1.0, max.max(1.0));
                (flat.maximum(&cut.neg()).minimum(&cut) / cut)
                    .to_kind(Kind::Float)
                    .view(size.as_slice())
            }
        }
    }
}
