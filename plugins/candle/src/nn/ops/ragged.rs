//! Ragged rows to a padded batch and back.

use candle_core::{DType, Device, Result, Tensor};

/// Indices that lay sequences of different lengths into a batch padded to the longest, and take them out again.
#[derive(Debug)]
pub(super) struct Ragged {
    batch: usize,
    longest: usize,
    /// `[batch · longest]`: the row that stands at each place; padding repeats row 0.
    pad: Tensor,
    /// `[total]`: the place of each row.
    unpad: Tensor,
}

impl Ragged {
    /// The indices for sequences of `lengths`, on `device`.
    pub(super) fn new(lengths: &[usize], device: &Device) -> Result<Self> {
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let mut pad = vec![0u32; lengths.len() * longest];
        let mut unpad = Vec::new();
        let mut row = 0u32;
        for (sequence, &length) in lengths.iter().enumerate() {
            for token in 0..length {
                let place = sequence * longest + token;
                pad[place] = row;
                unpad.push(place as u32);
                row += 1;
            }
        }
        let (places, rows) = (pad.len(), unpad.len());
        Ok(Self {
            batch: lengths.len(),
            longest,
            pad: Tensor::from_vec(pad, places, device)?,
            unpad: Tensor::from_vec(unpad, rows, device)?,
        })
    }

    /// `[total, width]` to `[batch, longest, width]`.
    pub(super) fn pad(&self, x: &Tensor) -> Result<Tensor> {
        x.contiguous()?
            .index_select(&self.pad, 0)?
            .reshape((self.batch, self.longest, x.dim(1)?))
    }

    /// `[batch, longest, width]` to `[total, width]`.
    pub(super) fn unpad(&self, x: &Tensor) -> Result<Tensor> {
        let width = x.dim(2)?;
        x.contiguous()?
            .reshape((self.batch * self.longest, width))?
            .index_select(&self.unpad, 0)
    }
}

/// A mask to add to scores, `[batch, 1, longest_q, longest_kv]`: zero where a query may look, −∞ elsewhere.
///
/// A padded query looks at key 0, so that its row of softmax stays finite.
pub(super) fn additive_mask(
    q_lengths: &[usize],
    kv_lengths: &[usize],
    causal: bool,
    dtype: DType,
    device: &Device,
) -> Result<Tensor> {
    let longest_q = q_lengths.iter().copied().max().unwrap_or(0);
    let longest_kv = kv_lengths.iter().copied().max().unwrap_or(0);
    let mut mask = vec![f32::NEG_INFINITY; q_lengths.len() * longest_q * longest_kv];
    for (sequence, (&q, &kv)) in q_lengths.iter().zip(kv_lengths).enumerate() {
        for row in 0..longest_q {
            let seen = match (row < q, causal) {
                (false, _) => 1,
                (true, false) => kv,
                (true, true) => (row + 1 + kv).saturating_sub(q).clamp(1, kv),
            };
            let start = (sequence * longest_q + row) * longest_kv;
            mask[start..start + seen].fill(0.0);
        }
    }
    Tensor::from_vec(mask, (q_lengths.len(), 1, longest_q, longest_kv), device)?.to_dtype(dtype)
}
