//! Multi-head attention (Vaswani et al. 2017) through our own kernels or libtorch's fused one, neither of which holds the
//! matrix of scores.

use sensorium_kernels::Cpu;
use tch::{Kind, Tensor};

use super::{Linear, kernels};
use crate::{checkpoint::Scope, error::LoadError};

/// Attention as diffusers names it: `to_q`, `to_k`, `to_v` without biases, `to_out.0` with one.
pub(crate) struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    heads: i64,
    cpu: Option<Cpu>,
}

// === impl Attention ===

impl Attention {
    /// Queries from `width` channels, keys and values from `context` channels.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub(crate) fn load(scope: &Scope<'_>, width: i64, context: i64, heads: i64) -> Result<Self, LoadError> {
        Ok(Self {
            query: Linear::load_without_bias(&scope.sub("to_q"), width, width)?,
            key: Linear::load_without_bias(&scope.sub("to_k"), width, context)?,
            value: Linear::load_without_bias(&scope.sub("to_v"), width, context)?,
            output: Linear::load(&scope.sub("to_out.0"), width, width)?,
            heads,
            cpu: scope.kernels().cloned(),
        })
    }

    /// One head with biases everywhere, as autoencoders have it; the names of before diffusers 0.15 are read too.
    ///
    /// # Errors
    /// As [`Attention::load`].
    pub(crate) fn load_biased(scope: &Scope<'_>, width: i64) -> Result<Self, LoadError> {
        let names = match scope.has("query.weight") {
            true => ["query", "key", "value", "proj_attn"],
            false => ["to_q", "to_k", "to_v", "to_out.0"],
        };
        let [query, key, value, output] = names.map(|name| Linear::load_pointwise(&scope.sub(name), width, width));
        Ok(Self {
            query: query?,
            key: key?,
            value: value?,
            output: output?,
            heads: 1,
            cpu: scope.kernels().cloned(),
        })
    }

    /// `[b, n, width]`, `[b, m, context]` -> `[b, n, width]`.
    pub(crate) fn forward(&self, x: &Tensor, context: &Tensor) -> Tensor {
        let query = self.query.forward(x);
        let (key, value) = (self.key.forward(context), self.value.forward(context));
        let mixed = attend([&query, &key, &value], self.heads, false, self.cpu.as_ref());
        drop((query, key, value));
        self.output.forward(&mixed)
    }
}

/// softmax(Q Kᵀ / √d) V of `[b, n, heads * d]` and two times `[b, m, heads * d]`; `causal`: nothing sees what comes after it.
pub(crate) fn attend(operands: [&Tensor; 3], heads: i64, causal: bool, cpu: Option<&Cpu>) -> Tensor {
    // In bf16, the kernels take heads of an even width.
    let even = operands[0].size()[2] / heads % 2 == 0;
    if let Some(cpu) = cpu.filter(|_| even || operands[0].kind() != Kind::BFloat16) {
        return kernels::attend(operands, heads, causal, cpu);
    }
    let [query, key, value] = operands.map(|x| heads_first(x, heads));
    let (no_mask, no_dropout, own_scale) = (None::<&Tensor>, 0.0, None::<f64>);
    heads_last(&Tensor::scaled_dot_product_attention(
        &query, &key, &value, no_mask, no_dropout, causal, own_scale, false,
    ))
}

/// `[b, n, heads * d]` -> `[b, heads, n, d]`, a view.
fn heads_first(x: &Tensor, heads: i64) -> Tensor {
    let size = x.size();
    x.view([size[0], size[1], heads, size[2] / heads]).transpose(1, 2)
}

/// `[b, heads, n, d]` -> `[b, n, heads * d]`.
fn heads_last(x: &Tensor) -> Tensor {
    let size = x.size();
    x.transpose(1, 2).reshape([size[0], size[2], size[1] * size[3]])
}
