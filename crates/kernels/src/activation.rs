//! The activation between the two linear maps of a feed-forward block.

/// An activation function, by the formula it follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x · sigmoid(1.702 x)`, CLIP's own.
    QuickGelu,
    /// `x · Φ(x)` through the error function.
    Gelu,
    /// The tanh approximation of GELU.
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
    /// `x · sigmoid(x)`.
    Silu,
}

/// A name that no activation here has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("hidden_act `{0}` is not supported: use quick_gelu, gelu, gelu_pytorch_tanh, gelu_new, relu or silu")]
pub struct UnknownActivation(String);

impl Activation {
    /// The activation that a Hugging Face config calls `name` (its `hidden_act`).
    ///
    /// # Errors
    /// When the name is none of those known here.
    pub fn from_name(name: &str) -> Result<Self, UnknownActivation> {
        Ok(match name {
            "quick_gelu" => Self::QuickGelu,
            "gelu" | "gelu_python" => Self::Gelu,
            "gelu_pytorch_tanh" | "gelu_new" | "gelu_fast" | "gelu_accurate" => Self::GeluTanh,
            "relu" => Self::Relu,
            "silu" | "swish" => Self::Silu,
            other => return Err(UnknownActivation(other.to_owned())),
        })
    }
}
