//! Activation functions by the names that configurations use.

use tch::Tensor;

/// An activation function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    /// x · σ(x), also called swish.
    Silu,
    /// x · Φ(x), exact.
    Gelu,
    /// x · σ(1.702 x): CLIP's approximation of GELU.
    QuickGelu,
}

// === impl Activation ===

impl Activation {
    /// The function of that name.
    ///
    /// # Errors
    /// If there is none; the message continues the field's name.
    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        match name {
            "silu" | "swish" => Ok(Self::Silu),
            "gelu" => Ok(Self::Gelu),
            "quick_gelu" => Ok(Self::QuickGelu),
            other => Err(format!("is `{other}`; silu, gelu and quick_gelu are supported")),
        }
    }

    /// Applies it; the input's memory may be reused.
    pub(crate) fn apply(self, mut x: Tensor) -> Tensor {
        match self {
            Self::Silu => x.silu_(),
            Self::Gelu => x.gelu("none"),
            Self::QuickGelu => {
                let gate = (&x * 1.702).sigmoid_();
                x *= gate;
                x
            }
        }
    }
}
