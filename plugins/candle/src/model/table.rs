//! Embedding tables: rows looked up by id.

use candle_core::{DType, Result, Tensor};

use crate::{checkpoint::Weights, error::LoadError, nn::Compute};

/// A table of `[rows, hidden]`, kept in the computing dtype.
#[derive(Debug)]
pub(super) struct Table(Tensor);

// === impl Table ===

impl Table {
    /// Reads tensor `name`.
    pub(super) fn load(
        weights: &Weights<'_>,
        name: &str,
        rows: usize,
        hidden: usize,
        compute: &Compute,
    ) -> std::result::Result<Self, LoadError> {
        let table = weights.tensor(name, &[rows, hidden])?;
        Ok(Self(table.to_dtype(compute.dtype)?.to_device(&compute.device)?))
    }

    /// The rows with these ids as f32, `[ids, hidden]`. Every id is less than the table's rows.
    pub(super) fn rows(&self, ids: Vec<u32>) -> Result<Tensor> {
        let count = ids.len();
        let ids = Tensor::from_vec(ids, count, self.0.device())?;
        self.0.index_select(&ids, 0)?.to_dtype(DType::F32)
    }

    /// All rows as f32.
    pub(super) fn all(&self) -> Result<Tensor> {
        self.0.to_dtype(DType::F32)
    }
}
