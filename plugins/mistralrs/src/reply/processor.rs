//! The engine's side: logits in, logits out of which the engine can pick but one token.

use std::panic::{AssertUnwindSafe, catch_unwind};

use mistralrs::{CustomLogitsProcessor, DType, Device, Result, Tensor};

use crate::{pool, sampling::TokenSampler};

impl CustomLogitsProcessor for TokenSampler {
    /// `logits`: one for each token id, of any shape with one dimension over 1. The result is 1 for the chosen token and 0
    /// for all others, whose highest the engine takes at temperature 0. `context` is not read: after a hit in the
    /// prefix cache it is cut short.
    ///
    /// An error here would cost other replies of the same batch their token, so there is none but for a tensor that
    /// can't be read.
    fn apply(&self, logits: &Tensor, _context: &[u32]) -> Result<Tensor> {
        pool::join();
        let mut values: Vec<f32> = logits
            .to_device(&Device::Cpu)?
            .to_dtype(DType::F32)?
            .flatten_all()?
            .to_vec1()?;
        let count = values.len();
        let chosen = catch_unwind(AssertUnwindSafe(|| self.next(&mut values))).unwrap_or_else(|_| self.give_up());
        let mut picked = vec![0.0f32; count];
        if let Some(place) = picked.get_mut(chosen as usize) {
            *place = 1.0;
        }
        Tensor::from_vec(picked, logits.shape(), logits.device())
    }
}
