//! How a network learns which timestep, or which number, it works for.

use tch::{Device, Kind, Tensor};

use super::{Activation, Linear};
use crate::{checkpoint::Scope, error::LoadError};

/// Longest wavelength of [`sinusoid`], in 2π.
const MAX_PERIOD: f64 = 10_000.0;

/// Two linear maps with an activation between them.
pub(crate) struct TimestepEmbedding {
    first: Linear,
    second: Linear,
    /// Adds an embedding of the guidance scale (LCM, Luo et al. 2023).
    condition: Option<Linear>,
    activation: Activation,
}

// === impl TimestepEmbedding ===

impl TimestepEmbedding {
    /// `linear_1` from `input` to `width`, `linear_2` from there to the same width; `cond_proj` from `condition` to
    /// `input` if there is such a width.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub(crate) fn load(
        scope: &Scope<'_>,
        input: i64,
        width: i64,
        condition: Option<i64>,
        activation: Activation,
    ) -> Result<Self, LoadError> {
        let condition = condition.map(|from| Linear::load_without_bias(&scope.sub("cond_proj"), input, from));
        Ok(Self {
            first: Linear::load(&scope.sub("linear_1"), width, input)?,
            second: Linear::load(&scope.sub("linear_2"), width, width)?,
            condition: condition.transpose()?,
            activation,
        })
    }

    /// `[b, input]` -> `[b, width]`; `condition` of `[b, condition]` where the checkpoint has a place for it.
    pub(crate) fn forward(&self, x: &Tensor, condition: Option<&Tensor>) -> Tensor {
        let hidden = match (&self.condition, condition) {
            (Some(map), Some(condition)) => self.first.forward(&(x + map.forward(condition))),
            _ => self.first.forward(x),
        };
        self.second.forward(&self.activation.apply(hidden))
    }
}

/// Sinusoids of geometrically spaced wavelengths (Vaswani et al. 2017; Ho et al. 2020) of each number: `[n]` of f32 ->
/// `[n, width]` of f32. `cosine_first` is what configurations call `flip_sin_to_cos`, `shift` is `freq_shift`.
pub(crate) fn sinusoid(numbers: &Tensor, width: i64, cosine_first: bool, shift: f64) -> Tensor {
    let half = width / 2;
    let options = (Kind::Float, numbers.device());
    let exponent = Tensor::arange(half, (Kind::Float, Device::Cpu)).to_device(options.1) * -MAX_PERIOD.ln();
    let frequencies = (exponent / (half as f64 - shift)).exp();
    let angles = numbers.to_kind(Kind::Float).unsqueeze(1) * frequencies.unsqueeze(0);
    let (sine, cosine) = (angles.sin(), angles.cos());
    let both = match cosine_first {
        true => Tensor::cat(&[cosine, sine], 1),
        false => Tensor::cat(&[sine, cosine], 1),
    };
    match width % 2 {
        0 => both,
        _ => both.constant_pad_nd([0, 1]),
    }
}
