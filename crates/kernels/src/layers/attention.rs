//! Attention between ragged sequences.

use crate::{cpu::Cpu, standalone, tier::with_kernel};

/// The operands of [`attention`]: rows of `heads · dim` f32, those of all sequences one after another.
#[derive(Clone, Copy, Debug)]
pub struct AttentionRows<'a> {
    /// Queries.
    pub q: &'a [f32],
    /// Keys.
    pub k: &'a [f32],
    /// Values.
    pub v: &'a [f32],
    /// Attention heads.
    pub heads: usize,
    /// Width of a head.
    pub dim: usize,
    /// Queries of each sequence.
    pub q_lengths: &'a [usize],
    /// Keys and values of each sequence.
    pub kv_lengths: &'a [usize],
    /// Whether a query sees only keys that aren't later, both sequences ending together.
    pub causal: bool,
}

/// Attention within each sequence; returns rows like the queries.
///
/// # Panics
/// When the slices do not hold the rows that the lengths sum to.
pub fn attention(rows: &AttentionRows<'_>, cpu: &Cpu) -> Vec<f32> {
    // SAFETY: a `Cpu` only ever holds a tier that runs here.
    with_kernel!(cpu.tier(), K => unsafe { standalone::attention::<K>(rows, cpu.pool()) })
}
