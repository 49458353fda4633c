//! Small things that every tower does with rows.

use candle_core::{DType, Device, Result, Tensor};

/// The last row of each sequence of `x`, `[total, hidden]`.
pub(super) fn last_rows(x: &Tensor, lengths: &[usize]) -> Result<Tensor> {
    let mut end = 0;
    let ends = lengths.iter().map(|length| {
        end += length;
        (end - 1) as u32
    });
    select_rows(x, ends.collect())
}

/// The first row of each sequence of equal `length`.
pub(super) fn first_rows(x: &Tensor, length: usize) -> Result<Tensor> {
    let count = x.dim(0)? / length;
    select_rows(x, (0..count).map(|index| (index * length) as u32).collect())
}

fn select_rows(x: &Tensor, rows: Vec<u32>) -> Result<Tensor> {
    let count = rows.len();
    x.index_select(&Tensor::from_vec(rows, count, x.device())?, 0)
}

/// `x`, `[n, width]`, as one vector a row.
pub(super) fn to_rows(x: &Tensor) -> Result<Vec<Vec<f32>>> {
    x.to_dtype(DType::F32)?.to_device(&Device::Cpu)?.to_vec2()
}
