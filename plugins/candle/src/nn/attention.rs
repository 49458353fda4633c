//! Multi-head attention between ragged sequences, for heads that are not a plain encoder (attention pooling).

use candle_core::{Result, Tensor, bail};

use super::{Compute, cpu, ops};

/// Which rows belong together in one call of [`attention`].
#[derive(Clone, Copy, Debug)]
pub struct AttentionShape<'a> {
    /// Heads; divides the width of the queries.
    pub heads: usize,
    /// Query rows of each sequence.
    pub q_lengths: &'a [usize],
    /// Key and value rows of each sequence, in the same order.
    pub kv_lengths: &'a [usize],
    /// Whether a query sees no later key; the last query of a sequence is aligned with its last key.
    pub causal: bool,
}

/// Scaled dot-product attention: `softmax(q·kᵀ / sqrt(head)) · v`, per sequence and head.
///
/// `q` is f32 `[total_q, hidden]`, `k` and `v` f32 `[total_kv, hidden]`, the rows of all sequences one after
/// another. Returns f32 `[total_q, hidden]`.
///
/// # Errors
/// When shapes and lengths do not fit each other.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, shape: AttentionShape<'_>, compute: &Compute) -> Result<Tensor> {
    let (q_rows, hidden) = q.dims2()?;
    let (kv_rows, _) = k.dims2()?;
    if k.dims() != v.dims() || k.dims() != [kv_rows, hidden] {
        bail!(
            "q {:?}, k {:?} and v {:?} do not fit each other",
            q.dims(),
            k.dims(),
            v.dims()
        )
    }
    if shape.heads == 0 || !hidden.is_multiple_of(shape.heads) {
        bail!("heads ({}) must divide the width ({hidden})", shape.heads)
    }
    if shape.q_lengths.len() != shape.kv_lengths.len() {
        bail!(
            "{} query sequences against {} key sequences",
            shape.q_lengths.len(),
            shape.kv_lengths.len()
        )
    }
    for (name, lengths, rows) in [
        ("q_lengths", shape.q_lengths, q_rows),
        ("kv_lengths", shape.kv_lengths, kv_rows),
    ] {
        if lengths.contains(&0) || lengths.iter().sum::<usize>() != rows {
            bail!("{name} must be positive and sum to {rows} rows")
        }
    }
    match compute.cpu() {
        Some(cpu) => cpu::attention(q, k, v, shape, &cpu),
        None => ops::attention(q, k, v, shape, compute),
    }
}
