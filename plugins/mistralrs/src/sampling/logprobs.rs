//! Log probabilities of a step: natural logarithms under the model, after penalties and bias, before temperature,
//! filters and constraints.

use super::{exp::sum_exp, peak};

/// What stands for the logarithm of 0, which JSON can't write.
const IMPOSSIBLE: f32 = -9999.0;

/// The log probabilities of one chosen token and of the likeliest ones.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Logprobs {
    /// Of the chosen token.
    pub(crate) chosen: f32,
    /// The likeliest tokens, likeliest first; among equals the lowest id.
    pub(crate) top: Vec<(u32, f32)>,
}

// === impl Logprobs ===

impl Logprobs {
    /// Those of `chosen` and of the `count` likeliest tokens.
    pub(crate) fn new(logits: &[f32], chosen: u32, count: usize) -> Self {
        let Some((_, max)) = peak(logits) else {
            return Self {
                chosen: IMPOSSIBLE,
                top: Vec::new(),
            };
        };
        let total = sum_exp(logits, max, 1.0);
        let log = |logit: f32| {
            let log = (f64::from(logit - max) - total.ln()) as f32;
            if log.is_nan() {
                IMPOSSIBLE
            } else {
                log.clamp(IMPOSSIBLE, 0.0)
            }
        };
        let of = |id: u32| {
            logits
                .get(id as usize)
                .filter(|l| !l.is_nan())
                .map_or(IMPOSSIBLE, |&l| log(l))
        };
        Self {
            chosen: of(chosen),
            top: top(logits, count)
                .into_iter()
                .map(|(id, logit)| (id, log(logit)))
                .collect(),
        }
    }
}

/// The `count` highest logits, highest first; one pass, since `count` is small.
fn top(logits: &[f32], count: usize) -> Vec<(u32, f32)> {
    let mut found: Vec<(u32, f32)> = Vec::with_capacity(count + 1);
    let mut least = f32::NEG_INFINITY;
    for (id, &logit) in logits.iter().enumerate() {
        if logit.is_nan() || count == 0 || (found.len() == count && logit <= least) {
            continue;
        }
        let at = found.partition_point(|&(_, other)| other >= logit);
        found.insert(at, (id as u32, logit));
        found.truncate(count);
        least = found.last().map_or(least, |&(_, logit)| logit);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_natural_logarithms_of_the_softmax() {
        let logits: Vec<f32> = [0.1f32, 0.5, 0.15, 0.25].iter().map(|p| p.ln() - 40.0).collect();
        let logprobs = Logprobs::new(&logits, 2, 3);
        assert!((logprobs.chosen - 0.15f32.ln()).abs() < 1e-5);
        let expected = [(1, 0.5f32.ln()), (3, 0.25f32.ln()), (2, 0.15f32.ln())];
        for (&(id, logprob), (wanted, exact)) in logprobs.top.iter().zip(expected) {
            assert_eq!(id, wanted);
            assert!((logprob - exact).abs() < 1e-5);
        }
    }

    #[test]
    fn ties_are_in_the_order_of_ids() {
        let ids = |count| {
            Logprobs::new(&[1.0, 3.0, 1.0, 3.0, 1.0], 0, count)
                .top
                .iter()
                .map(|&(id, _)| id)
                .collect()
        };
        let rows: [(usize, Vec<u32>); 4] = [(0, vec![]), (1, vec![1]), (3, vec![1, 3, 0]), (9, vec![1, 3, 0, 2, 4])];
        for (count, expected) in rows {
            let ids: Vec<u32> = ids(count);
            assert_eq!(ids, expected);
        }
    }

    #[test]
    fn what_is_impossible_or_no_number_still_has_a_number() {
        let logits = [f32::NEG_INFINITY, 0.0, f32::NAN];
        assert_eq!(Logprobs::new(&logits, 0, 3).chosen, IMPOSSIBLE);
        assert_eq!(Logprobs::new(&logits, 2, 3).chosen, IMPOSSIBLE);
        assert_eq!(Logprobs::new(&logits, 1, 3).top, [(1, 0.0), (0, IMPOSSIBLE)]);
        assert_eq!(Logprobs::new(&[f32::NAN], 0, 3).chosen, IMPOSSIBLE);
    }
}
