//! What is done to the logits before they count as the model's probabilities: penalties for what has been said
//! already, and the caller's bias.

use std::collections::{HashMap, HashSet};

use sensorium_contract::Sampling;

/// Repetition, presence and frequency penalties and the bias of one reply, in this order.
#[derive(Debug)]
pub(crate) struct Penalties {
    /// Over prompt and reply; 1: none. As transformers' `RepetitionPenaltyLogitsProcessor` (Keskar et al. 2019).
    repetition: f32,
    presence: f32,
    frequency: f32,
    bias: Vec<(u32, f32)>,
    /// Tokens of prompt and reply; kept only if there is a repetition penalty.
    seen: HashSet<u32>,
    /// Tokens of the reply, with how often they came; kept only if a penalty needs them.
    counts: HashMap<u32, u32>,
}

// === impl Penalties ===

impl Penalties {
    /// Those of a call whose prompt consists of `prompt`, in any order.
    pub(crate) fn new(sampling: &Sampling, prompt: &[u32]) -> Self {
        let repetition = sampling.repetition_penalty.unwrap_or(1.0);
        Self {
            repetition,
            presence: sampling.presence_penalty.unwrap_or(0.0),
            frequency: sampling.frequency_penalty.unwrap_or(0.0),
            bias: sampling
                .logit_bias
                .iter()
                .map(|(&token, &bias)| (token, bias))
                .collect(),
            seen: if repetition == 1.0 {
                HashSet::new()
            } else {
                prompt.iter().copied().collect()
            },
            counts: HashMap::new(),
        }
    }

    /// Changes `logits` in place, one for each token id.
    pub(crate) fn apply(&self, logits: &mut [f32]) {
        for &token in &self.seen {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit = if *logit > 0.0 {
                    *logit / self.repetition
                } else {
                    *logit * self.repetition
                };
            }
        }
        for (&token, &count) in &self.counts {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit -= self.presence + self.frequency * count as f32;
            }
        }
        for &(token, bias) in &self.bias {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit += bias;
            }
        }
    }

    /// `token` is now part of the reply.
    pub(crate) fn record(&mut self, token: u32) {
        if self.repetition != 1.0 {
            self.seen.insert(token);
        }
        if self.presence != 0.0 || self.frequency != 0.0 {
            *self.counts.entry(token).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sampling: Sampling, prompt: &[u32], reply: &[u32], expected: [f32; 4]) {
        let mut penalties = Penalties::new(&sampling, prompt);
        reply.iter().for_each(|&token| penalties.record(token));
        let mut logits = [2.0, -2.0, 0.5, 1.0];
        penalties.apply(&mut logits);
        assert_eq!(logits, expected, "{sampling:?}");
    }

    #[test]
    fn each_penalty_counts_what_it_should() {
        let none = Sampling::default;
        check(none(), &[0, 1], &[2, 2], [2.0, -2.0, 0.5, 1.0]);
        check(
            Sampling {
                repetition_penalty: Some(2.0),
                ..none()
            },
            &[0, 1],
            &[2],
            [1.0, -4.0, 0.25, 1.0],
        );
        check(
            Sampling {
                presence_penalty: Some(0.5),
                ..none()
            },
            &[0],
            &[1, 2, 2],
            [2.0, -2.5, 0.0, 1.0],
        );
        check(
            Sampling {
                frequency_penalty: Some(0.5),
                ..none()
            },
            &[0],
            &[1, 2, 2],
            [2.0, -2.5, -0.5, 1.0],
        );
        check(
            Sampling {
                logit_bias: [(3, -100.0)].into(),
                ..none()
            },
            &[],
            &[],
            [2.0, -2.0, 0.5, -99.0],
        );
    }

    #[test]
    fn tokens_outside_of_the_vocabulary_are_passed_over() {
        let sampling = Sampling {
            repetition_penalty: Some(2.0),
            presence_penalty: Some(1.0),
            logit_bias: [(9, 5.0)].into(),
            ..Sampling::default()
        };
        check(sampling, &[4, u32::MAX], &[7], [2.0, -2.0, 0.5, 1.0]);
    }

    #[test]
    fn repetition_comes_before_the_additive_ones() {
        let sampling = Sampling {
            repetition_penalty: Some(2.0),
            presence_penalty: Some(1.0),
            logit_bias: [(0, 10.0)].into(),
            ..Sampling::default()
        };
        check(sampling, &[], &[0], [10.0, -2.0, 0.5, 1.0]);
    }
}
