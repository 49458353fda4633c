//! How the next token is chosen. The engine only computes logits: one [`TokenSampler`] for each call applies penalties
//! and bias, notes log probabilities, keeps to the grammar and draws.
//!
//! The order is: repetition penalty, presence and frequency penalties, logit bias; here the log probabilities are taken;
//! then what the grammar forbids is struck out; then temperature, top-k, top-p and min-p as transformers' warpers do it; then
//! Gumbel-max with noise that is a function of (seed, step, token). Equal inputs thus give equal tokens, whatever else
//! runs in the same batch.

mod exp;
mod filters;
mod logprobs;
mod noise;
mod penalties;
mod sampler;

pub(crate) use logprobs::Logprobs;
pub(crate) use sampler::{Sampled, SamplerParams, TokenSampler, Verdict};

/// The position and value of the highest logit, the first of equals; `None` if there is no number over -inf.
fn peak(logits: &[f32]) -> Option<(u32, f32)> {
    const LANES: usize = 16;
    let mut highest = [f32::NEG_INFINITY; LANES];
    let (blocks, rest) = logits.as_chunks::<LANES>();
    for block in blocks {
        for (highest, &logit) in highest.iter_mut().zip(block) {
            // NaN compares false.
            *highest = if logit > *highest { logit } else { *highest };
        }
    }
    let max = highest
        .iter()
        .chain(rest)
        .fold(f32::NEG_INFINITY, |max, &logit| if logit > max { logit } else { max });
    if max == f32::NEG_INFINITY {
        return None;
    }
    logits.iter().position(|&logit| logit == max).map(|at| (at as u32, max))
}

#[cfg(test)]
mod tests {
    use super::peak;

    #[test]
    fn the_peak_is_the_first_of_the_highest_numbers() {
        let mut long = vec![0.0; 100];
        long[37] = 2.0;
        long[90] = 2.0;
        long[12] = f32::NAN;
        let check = |logits: &[f32], expected: Option<(u32, f32)>| assert_eq!(peak(logits), expected, "{logits:?}");
        check(&[], None);
        check(&[f32::NAN, f32::NEG_INFINITY], None);
        check(&[-3.0], Some((0, -3.0)));
        check(&[1.0, 4.0, f32::NAN, 4.0], Some((1, 4.0)));
        check(&[f32::NEG_INFINITY, f32::INFINITY, 1.0], Some((1, f32::INFINITY)));
        check(&long, Some((37, 2.0)));
    }
}
