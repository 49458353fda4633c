//! Gumbel noise that is a function of seed, step and token alone, so that a sample doesn't depend on what else is
//! computed, in which order, or on which thread.

/// 2^64 divided by the golden ratio: steps through the 64-bit integers evenly.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The noise of one step of one reply.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Noise {
    key: u64,
}

// === impl Noise ===

impl Noise {
    /// The noise of step `step` (0 is the first token) of a reply with `seed`.
    pub(crate) fn new(seed: u64, step: u64) -> Self {
        Self {
            key: mix(mix(seed.wrapping_add(GOLDEN)).wrapping_add(step.wrapping_mul(GOLDEN))),
        }
    }

    /// A draw of the standard Gumbel distribution, -ln(-ln u), for one token.
    pub(crate) fn gumbel(self, token: u32) -> f64 {
        exact(self.bits(token))
    }

    /// `logit` + noise if that is over `best`; most tokens are turned away without a logarithm.
    pub(crate) fn beats(self, token: u32, logit: f64, best: f64) -> Option<f64> {
        let bits = self.bits(token);
        if logit + ceiling(bits) <= best {
            return None;
        }
        let score = logit + exact(bits);
        (score > best).then_some(score)
    }

    /// 52 uniform bits.
    fn bits(self, token: u32) -> u64 {
        mix(self.key.wrapping_add((u64::from(token) + 1).wrapping_mul(GOLDEN))) >> 12
    }
}

/// The finaliser of splitmix64 (Steele, Lea and Flood 2014, with Stafford's constants): every input bit flips each
/// output bit about half of the time.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// -ln(-ln u) with 1 - u = (bits + 0.5) / 2^52, so that the upper tail, which decides, is the precise one.
fn exact(bits: u64) -> f64 {
    let rest = (bits as f64 + 0.5) / (1u64 << 52) as f64;
    -(-(-rest).ln_1p()).ln()
}

/// At least `exact(bits)`: -ln u > 1 - u ≥ 2^(11 - leading zeros).
fn ceiling(bits: u64) -> f64 {
    (f64::from(bits.leading_zeros()) - 11.0) * std::f64::consts::LN_2 + 1e-9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_key_gives_the_same_noise_and_any_other_another() {
        let at = |seed, step, token| Noise::new(seed, step).gumbel(token);
        assert_eq!(at(7, 3, 11), at(7, 3, 11));
        for other in [at(8, 3, 11), at(7, 4, 11), at(7, 3, 12), at(3, 7, 11), at(11, 3, 7)] {
            assert_ne!(at(7, 3, 11), other);
        }
    }

    /// Mean 0.5772 (Euler's constant) and variance π²/6.
    #[test]
    fn the_noise_has_the_moments_of_a_gumbel_distribution() {
        let draws: Vec<f64> = (0..200)
            .flat_map(|step| (0..1_000).map(move |t| Noise::new(1, step).gumbel(t)))
            .collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        assert!((mean - 0.5772).abs() < 0.01, "{mean}");
        assert!((variance - 1.6449).abs() < 0.03, "{variance}");
    }

    #[test]
    fn the_ceiling_holds_also_at_the_ends() {
        let ends = [0, 1, 2, 3, (1 << 52) - 1, (1 << 52) - 2, 1 << 51];
        let noise = Noise::new(5, 0);
        for bits in ends.into_iter().chain((0..100_000).map(|token| noise.bits(token))) {
            assert!(exact(bits) <= ceiling(bits), "{bits}");
            assert!(exact(bits).is_finite());
        }
    }
}
