//! Attention over padded batches.

use candle_core::{D, DType, Result, Tensor};

use super::{
    ragged::{Ragged, additive_mask},
    tensor_dtype,
};
use crate::nn::{AttentionShape, Compute};

/// Attention between ragged sequences; see [`crate::nn::attention`].
pub(crate) fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    shape: AttentionShape<'_>,
    compute: &Compute,
) -> Result<Tensor> {
    let (device, dtype) = (&compute.device, tensor_dtype(compute));
    let q_rows = Ragged::new(shape.q_lengths, device)?;
    let kv_rows = Ragged::new(shape.kv_lengths, device)?;
    let mask = additive_mask(shape.q_lengths, shape.kv_lengths, shape.causal, dtype, device)?;
    let ready = |x: &Tensor, rows: &Ragged| rows.pad(&x.to_device(device)?.to_dtype(dtype)?);
    let padded = padded_attention(
        &ready(q, &q_rows)?,
        &ready(k, &kv_rows)?,
        &ready(v, &kv_rows)?,
        shape.heads,
        Some(&mask),
    )?;
    q_rows.unpad(&padded)?.to_dtype(DType::F32)
}

/// Attention over `[batch, length, hidden]`, with a mask to add to the scores (`[batch, 1, q, kv]`).
pub(super) fn padded_attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    heads: usize,
    mask: Option<&Tensor>,
) -> Result<Tensor> {
    let split = |x: &Tensor| {
        let (batch, length, hidden) = x.dims3()?;
        x.reshape((batch, length, heads, hidden / heads))?
            .transpose(1, 2)?
            .contiguous()
    };
    let (batch, length, hidden) = q.dims3()?;
    let scale = 1.0 / ((hidden / heads) as f64).sqrt();
    let scores = (split(q)?.matmul(&split(k)?.transpose(D::Minus1, D::Minus2)?)? * scale)?;
    let scores = match mask {
        Some(mask) => scores.broadcast_add(mask)?,
        None => scores,
    };
    let weights = candle_nn::ops::softmax_last_dim(&scores.to_dtype(DType::F32)?)?.to_dtype(scores.dtype())?;
    weights
        .matmul(&split(v)?)?
        .transpose(1, 2)?
        .reshape((batch, length, hidden))
}
