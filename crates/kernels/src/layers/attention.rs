//! Attention between ragged sequences.

use half::bf16;

use crate::{
    cpu::Cpu,
    standalone,
    tier::{Tier, with_f32_kernel, with_kernel},
};

/// The operands of an attention: rows of `heads · dim` numbers, those of all sequences one after another.
#[derive(Clone, Copy, Debug)]
pub struct AttentionRows<'a, E = f32> {
    /// Queries.
    pub q: &'a [E],
    /// Keys.
    pub k: &'a [E],
    /// Values.
    pub v: &'a [E],
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

/// Attention within each sequence; returns rows like the queries. Operands are narrowed to the format of `cpu`'s tier.
///
/// # Panics
/// When the slices do not hold the rows that the lengths sum to.
pub fn attention(rows: &AttentionRows<'_>, cpu: &Cpu) -> Vec<f32> {
    // SAFETY: a `Cpu` only ever holds a tier that runs here.
    with_kernel!(cpu.tier(), K => unsafe { standalone::attention::<K>(rows, cpu.pool()) })
}

/// Attention within each sequence, multiplied in f32 whatever the tier and read where it lies; writes rows like the
/// queries to `out`.
///
/// # Panics
/// When the slices do not hold the rows that the lengths sum to, there are more lengths of one kind than of the other, or a
/// sequence has queries but no keys.
pub fn attend(rows: &AttentionRows<'_>, out: &mut [f32], cpu: &Cpu) {
    // SAFETY: a `Cpu` only ever holds a tier that runs here.
    with_f32_kernel!(cpu.tier(), K => unsafe { standalone::attend::<K>(rows, out, cpu.pool()) });
}

/// As [`attend`] in bf16, with sums and softmax in f32.
///
/// # Panics
/// As [`attend`], when `cpu`'s tier is another than [`Tier::Avx512Bf16`], and when the heads' width is odd.
pub fn attend_bf16(rows: &AttentionRows<'_, bf16>, out: &mut [bf16], cpu: &Cpu) {
    assert_eq!(cpu.tier(), Tier::Avx512Bf16, "no other tier multiplies bf16");
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a `Cpu` only ever holds a tier that runs here.
    unsafe {
        standalone::attend::<crate::arch::Avx512Bf16>(rows, out, cpu.pool());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (rows, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reproducible numbers in −1..1.
    fn numbers(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    /// The definition, in f64.
    fn expected(rows: &AttentionRows<'_>) -> Vec<f64> {
        let (width, dim) = (rows.heads * rows.dim, rows.dim);
        let mut out = Vec::new();
        let (mut q_row, mut kv_row) = (0, 0);
        for (&q_len, &kv_len) in rows.q_lengths.iter().zip(rows.kv_lengths) {
            for query in 0..q_len {
                for head in 0..rows.heads {
                    let at = |rows: &[f32], row: usize, index: usize| f64::from(rows[row * width + head * dim + index]);
                    let seen = if rows.causal {
                        kv_len + query + 1 - q_len
                    } else {
                        kv_len
                    };
                    let weights: Vec<f64> = (0..seen)
                        .map(|key| {
                            let dot = (0..dim).map(|i| at(rows.q, q_row + query, i) * at(rows.k, kv_row + key, i));
                            (dot.sum::<f64>() / (dim as f64).sqrt()).exp()
                        })
                        .collect();
                    let sum: f64 = weights.iter().sum();
                    for index in 0..dim {
                        let mixed = weights
                            .iter()
                            .enumerate()
                            .map(|(key, w)| w * at(rows.v, kv_row + key, index));
                        out.push(mixed.sum::<f64>() / sum);
                    }
                }
            }
            (q_row, kv_row) = (q_row + q_len, kv_row + kv_len);
        }
        out
    }

    /// Sequences of different lengths, with heads of which there are fewer than threads and with more.
    fn check(tier: Tier, heads: usize, dim: usize, threads: usize, causal: bool) {
        let cpu = Cpu::new(tier, threads).expect("threads");
        let (q_lengths, kv_lengths) = ([37, 1, 150], [41, 3, 150]);
        let width = heads * dim;
        let narrow = |x: f32| {
            if tier == Tier::Avx512Bf16 {
                bf16::from_f32(x).to_f32()
            } else {
                x
            }
        };
        let made = |rows: usize, seed| -> Vec<f32> { numbers(rows * width, seed).into_iter().map(narrow).collect() };
        let (q, k, v) = (made(188, 1), made(194, 2), made(194, 3));
        let rows = AttentionRows {
            q: &q,
            k: &k,
            v: &v,
            heads,
            dim,
            q_lengths: &q_lengths,
            kv_lengths: &kv_lengths,
            causal,
        };
        let want = expected(&rows);
        let (got, limit) = match tier {
            Tier::Avx512Bf16 => {
                let [q, k, v] = [&q, &k, &v].map(|x| x.iter().copied().map(bf16::from_f32).collect::<Vec<_>>());
                let mut out = vec![bf16::ZERO; q.len()];
                let rows = AttentionRows {
                    q: &q,
                    k: &k,
                    v: &v,
                    heads,
                    dim,
                    q_lengths: &q_lengths,
                    kv_lengths: &kv_lengths,
                    causal,
                };
                attend_bf16(&rows, &mut out, &cpu);
                (out.into_iter().map(bf16::to_f32).collect::<Vec<_>>(), 8e-3)
            }
            _ => {
                let mut out = vec![0.0; q.len()];
                attend(&rows, &mut out, &cpu);
                (out, 5e-6)
            }
        };
        for (at, (got, want)) in got.iter().zip(&want).enumerate() {
            let error = (f64::from(*got) - want).abs();
            assert!(
                error < limit,
                "{tier:?} {heads}×{dim} on {threads}, causal {causal}, at {at}: {got} for {want}"
            );
        }
    }

    #[test]
    fn operands_as_they_lie_match_the_definition() {
        for tier in Tier::available() {
            for (heads, dim, threads) in [(2, 40, 2), (1, 64, 5), (3, 8, 1), (5, 6, 2)] {
                check(tier, heads, dim, threads, false);
                check(tier, heads, dim, threads, true);
            }
        }
    }

    #[test]
    fn one_head_of_many_queries_is_cut_for_many_threads() {
        let cpu = Cpu::new(Tier::best(false), 7).expect("threads");
        let (q, k, v) = (numbers(300 * 4, 1), numbers(9 * 4, 2), numbers(9 * 4, 3));
        let rows = AttentionRows {
            q: &q,
            k: &k,
            v: &v,
            heads: 1,
            dim: 4,
            q_lengths: &[300],
            kv_lengths: &[9],
            causal: false,
        };
        let mut out = vec![f32::NAN; q.len()];
        attend(&rows, &mut out, &cpu);
        for (got, want) in out.iter().zip(expected(&rows)) {
            assert!((f64::from(*got) - want).abs() < 5e-6, "{got} for {want}");
        }
    }
}
