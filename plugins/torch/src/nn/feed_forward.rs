//! The feed-forward half of a transformer block, gated by GELU.

use tch::Tensor;

use super::Linear;
use crate::{checkpoint::Scope, error::LoadError};

/// How much wider the middle is.
const EXPANSION: i64 = 4;

/// GEGLU (Shazeer 2020): one map makes values and gates, another comes back.
pub(crate) struct GegluFeedForward {
    up: Linear,
    down: Linear,
}

// === impl GegluFeedForward ===

impl GegluFeedForward {
    /// `net.0.proj` of `[8 width, width]` and `net.2` of `[width, 4 width]`.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub(crate) fn load(scope: &Scope<'_>, width: i64) -> Result<Self, LoadError> {
        let inner = EXPANSION * width;
        Ok(Self {
            up: Linear::load(&scope.sub("net.0.proj"), 2 * inner, width)?,
            down: Linear::load(&scope.sub("net.2"), width, inner)?,
        })
    }

    /// `[.., width]` -> the same.
    pub(crate) fn forward(&self, x: &Tensor) -> Tensor {
        let both = self.up.forward(x);
        let halves = both.chunk(2, -1);
        let gated = halves[1].gelu("none") * &halves[0];
        drop((halves, both));
        self.down.forward(&gated)
    }
}
