//! The state of one call's sampling, and its step.

use std::sync::{Arc, Mutex, PoisonError};

use sensorium_contract::{PluginError, Sampling};
use tokio::sync::mpsc;

use super::{Logprobs, filters::Filters, noise::Noise, peak, penalties::Penalties};
use crate::tools::{Guide, Mask};

/// What a sampler is made from.
pub(crate) struct SamplerParams<'a> {
    /// Temperature, filters, penalties, bias and seed.
    pub(crate) sampling: &'a Sampling,
    /// The tokens of the prompt, in any order; those of an image need be there only once.
    pub(crate) prompt: &'a [u32],
    /// How many log probabilities are wanted beside the chosen token's, if any are.
    pub(crate) top_logprobs: Option<u32>,
    /// The tokens that end a reply.
    pub(crate) stop_ids: Arc<[u32]>,
    /// Tokens that no reply may have: those that stand for images, which some models look for in replies too.
    pub(crate) forbidden: Arc<[u32]>,
    /// What keeps the reply to a grammar.
    pub(crate) guide: Guide,
    /// Most tokens of the reply.
    pub(crate) max_tokens: usize,
}

/// A token that was chosen, and what became of the reply with it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sampled {
    pub(crate) id: u32,
    /// Present if they are wanted.
    pub(crate) logprobs: Option<Logprobs>,
    pub(crate) verdict: Verdict,
}

/// What a chosen token means for the reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// More tokens follow.
    Continues,
    /// It is one that ends replies.
    Ends,
    /// The grammar allows nothing after it.
    Completes,
    /// No token could be chosen; the id means nothing.
    Fails(PluginError),
}

/// Chooses the tokens of one call. The engine asks from its own threads; what is chosen goes out through a channel,
/// and once the other end is gone the reply is brought to its end.
pub(crate) struct TokenSampler {
    state: Mutex<State>,
}

struct State {
    filters: Filters,
    penalties: Penalties,
    seed: u64,
    step: u64,
    top_logprobs: Option<usize>,
    stop_ids: Arc<[u32]>,
    forbidden: Arc<[u32]>,
    guide: Guide,
    tokens: mpsc::Sender<Sampled>,
    ended: bool,
    /// The logits that the grammar has left; kept from step to step for its memory.
    left: Vec<f32>,
}

// === impl TokenSampler ===

impl TokenSampler {
    /// A sampler, and where the tokens that it chooses come out. The channel holds a whole reply, so a slow reader
    /// holds up no engine.
    pub(crate) fn new(params: SamplerParams<'_>) -> (Self, mpsc::Receiver<Sampled>) {
        let (sender, receiver) = mpsc::channel(params.max_tokens.saturating_add(1));
        let state = State {
            filters: Filters::new(params.sampling),
            penalties: Penalties::new(params.sampling, params.prompt),
            seed: params.sampling.seed,
            step: 0,
            top_logprobs: params.top_logprobs.map(|count| count as usize),
            stop_ids: params.stop_ids,
            forbidden: params.forbidden,
            guide: params.guide,
            tokens: sender,
            ended: false,
            left: Vec::new(),
        };
        (
            Self {
                state: Mutex::new(state),
            },
            receiver,
        )
    }

    /// The token that follows, given the logits of the step, one for each token id; they are changed. A reply that is
    /// over, or that nobody reads any more, gets a token that ends it.
    pub(crate) fn next(&self, logits: &mut [f32]) -> u32 {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.ended || state.tokens.is_closed() {
            state.ended = true;
            return state.end();
        }
        let sampled = state.step(logits);
        state.ended = sampled.verdict != Verdict::Continues;
        let id = if matches!(sampled.verdict, Verdict::Fails(_)) {
            state.end()
        } else {
            sampled.id
        };
        if state.tokens.try_send(sampled).is_err() {
            state.ended = true;
        }
        id
    }

    /// Something went wrong while a token was chosen: the reply fails, and the engine gets a token that ends it.
    pub(crate) fn give_up(&self) -> u32 {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.ended = true;
        let verdict = Verdict::Fails(PluginError::instance("choosing a token panicked"));
        let id = state.end();
        // Nobody may be there to hear it.
        let _ = state.tokens.try_send(Sampled {
            id,
            logprobs: None,
            verdict,
        });
        id
    }
}

// === impl State ===

impl State {
    /// A token that makes the engine end the sequence.
    fn end(&self) -> u32 {
        self.stop_ids.first().copied().unwrap_or(0)
    }

    fn step(&mut self, logits: &mut [f32]) -> Sampled {
        self.penalties.apply(logits);
        let forbidden = self.strike_out(logits);
        let chosen = self.choose(logits);
        // They have their share of the probability all the same.
        for (id, logit) in forbidden.into_iter().rev() {
            logits[id] = logit;
        }
        match chosen {
            Ok((id, completes)) => {
                self.penalties.record(id);
                self.step += 1;
                let logprobs = self.top_logprobs.map(|count| Logprobs::new(logits, id, count));
                let verdict = match completes {
                    _ if self.stop_ids.contains(&id) => Verdict::Ends,
                    true => Verdict::Completes,
                    false => Verdict::Continues,
                };
                Sampled { id, logprobs, verdict }
            }
            Err(error) => Sampled {
                id: self.end(),
                logprobs: None,
                verdict: Verdict::Fails(error),
            },
        }
    }

    /// Makes forbidden tokens impossible; what their logits were.
    fn strike_out(&self, logits: &mut [f32]) -> Vec<(usize, f32)> {
        let ids = self.forbidden.iter().map(|&id| id as usize);
        let ids = ids.filter(|&id| id < logits.len()).collect::<Vec<_>>();
        ids.into_iter()
            .map(|id| (id, std::mem::replace(&mut logits[id], f32::NEG_INFINITY)))
            .collect()
    }

    /// The next token, and whether the grammar allows nothing after it.
    fn choose(&mut self, logits: &[f32]) -> Result<(u32, bool), PluginError> {
        let mask = self.guide.mask()?;
        let id = self.draw(logits, mask.as_ref())?;
        if self.stop_ids.contains(&id) {
            return Ok((id, false));
        }
        if let Some(mask) = self.guide.accept(id)? {
            // A tool's call has begun with this very token, but not as the grammar wants it.
            let id = self.draw(logits, Some(&mask))?;
            if !self.stop_ids.contains(&id) {
                self.guide.accept(id)?;
            }
            return Ok((id, self.guide.is_complete()));
        }
        Ok((id, self.guide.is_complete()))
    }

    fn draw(&mut self, logits: &[f32], mask: Option<&Mask>) -> Result<u32, PluginError> {
        let noise = Noise::new(self.seed, self.step);
        let no_number = || PluginError::model("the model computed no logit that is a number");
        let Some(mask) = mask else {
            return self.filters.choose(logits, noise).ok_or_else(no_number);
        };
        mask.copy_allowed(logits, &mut self.left);
        if let Some(id) = self.filters.choose(&self.left, noise) {
            return Ok(id);
        }
        peak(logits).ok_or_else(no_number)?;
        // Everything that the grammar allows is impossible under the model.
        mask.first()
            .ok_or_else(|| PluginError::instance("the grammar allows no token"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(sampling: Sampling, top_logprobs: Option<u32>) -> (TokenSampler, mpsc::Receiver<Sampled>) {
        TokenSampler::new(SamplerParams {
            sampling: &sampling,
            prompt: &[],
            top_logprobs,
            stop_ids: [3].into(),
            forbidden: [4].into(),
            guide: Guide::Free,
            max_tokens: 8,
        })
    }

    fn greedy() -> Sampling {
        Sampling {
            temperature: Some(0.0),
            ..Sampling::default()
        }
    }

    #[test]
    fn tokens_come_out_with_their_logprobs() {
        let (sampler, mut tokens) = sampler(greedy(), Some(1));
        assert_eq!(sampler.next(&mut [0.0, 1.0, 0.0, 0.0]), 1);
        let sampled = tokens.try_recv().expect("a token");
        let logprob = -(1.0 + 3.0 * (-1.0f32).exp()).ln();
        assert_eq!((sampled.id, sampled.verdict), (1, Verdict::Continues));
        let logprobs = sampled.logprobs.expect("they are wanted");
        assert!((logprobs.chosen - logprob).abs() < 1e-6);
        assert_eq!(logprobs.top, [(1, logprobs.chosen)]);
    }

    #[test]
    fn forbidden_tokens_never_come_but_count() {
        let (sampler, mut tokens) = sampler(greedy(), Some(1));
        assert_eq!(sampler.next(&mut [0.0, 1.0, 0.0, 0.0, 9.0]), 1);
        let logprobs = tokens.try_recv().expect("a token").logprobs.expect("they are wanted");
        assert_eq!(logprobs.top[0].0, 4);
        assert!(logprobs.chosen < -7.9);
    }

    #[test]
    fn after_a_stop_token_only_stop_tokens_come_and_nothing_goes_out() {
        let (sampler, mut tokens) = sampler(greedy(), None);
        assert_eq!(sampler.next(&mut [0.0, 0.0, 0.0, 2.0]), 3);
        assert_eq!(tokens.try_recv().map(|sampled| sampled.verdict), Ok(Verdict::Ends));
        assert_eq!(sampler.next(&mut [5.0, 0.0, 0.0, 2.0]), 3);
        assert!(tokens.try_recv().is_err());
    }

    #[test]
    fn a_reply_that_nobody_reads_ends_at_its_next_token() {
        let (sampler, tokens) = sampler(greedy(), None);
        assert_eq!(sampler.next(&mut [5.0, 0.0, 0.0, 0.0]), 0);
        drop(tokens);
        assert_eq!(sampler.next(&mut [5.0, 0.0, 0.0, 0.0]), 3);
    }

    #[test]
    fn logits_that_are_no_numbers_end_the_reply_and_say_so() {
        let (sampler, mut tokens) = sampler(greedy(), None);
        assert_eq!(sampler.next(&mut [f32::NAN; 4]), 3);
        let verdict = tokens.try_recv().expect("it says so").verdict;
        assert!(matches!(verdict, Verdict::Fails(error) if error.message.contains("no logit")));
    }

    #[test]
    fn penalties_follow_what_was_said() {
        let (sampler, _tokens) = sampler(
            Sampling {
                frequency_penalty: Some(1.0),
                ..greedy()
            },
            None,
        );
        let chosen: Vec<u32> = (0..4).map(|_| sampler.next(&mut [2.0, 1.5, 0.0, -9.0])).collect();
        assert_eq!(chosen, [0, 1, 0, 1]);
    }

    /// Equal seeds give equal replies whatever happens between the steps; other seeds give other ones.
    #[test]
    fn replies_depend_on_the_seed_alone() {
        let reply = |seed| -> Vec<u32> {
            let (sampler, _tokens) = sampler(
                Sampling {
                    seed,
                    ..Sampling::default()
                },
                None,
            );
            (0..7)
                .map(|_| sampler.next(&mut [0.0, 0.1, 0.2, f32::NEG_INFINITY, 0.3, 0.1]))
                .collect()
        };
        assert_eq!(reply(5), reply(5));
        assert_ne!(reply(5), reply(6));
    }
}
