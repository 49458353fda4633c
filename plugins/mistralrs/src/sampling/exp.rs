//! Sums of exponentials over a whole vocabulary, several at a time.

/// Blocks are summed in f32, their sums in f64, so that rounding errors don't add up.
const BLOCK: usize = 1_024;
const LANES: usize = 16;

/// The sum of exp((logit - max) * inverse) over `logits`, with a relative error of about 1e-6. `max` is the highest of
/// them; what is no number counts as 0.
pub(super) fn sum_exp(logits: &[f32], max: f32, inverse: f32) -> f64 {
    logits.chunks(BLOCK).map(|block| sum_block(block, max, inverse)).sum()
}

fn sum_block(block: &[f32], max: f32, inverse: f32) -> f64 {
    let mut sums = [0.0f32; LANES];
    let (groups, rest) = block.as_chunks::<LANES>();
    for group in groups {
        for (sum, &logit) in sums.iter_mut().zip(group) {
            *sum += exp((logit - max) * inverse);
        }
    }
    let rest: f32 = rest.iter().map(|&logit| exp((logit - max) * inverse)).sum();
    sums.iter().map(|&sum| f64::from(sum)).sum::<f64>() + f64::from(rest)
}

/// e^x for x of at most 0, without a branch, so that the compiler can do several at once: 2^(k + f) with a whole k and
/// the first terms of the series of 2^f.
fn exp(x: f32) -> f32 {
    /// Adding it rounds to the nearest whole number, which then stands in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    /// The powers of ln 2 over the factorials.
    const TERMS: [f32; 7] = [
        1.0,
        std::f32::consts::LN_2,
        0.240_226_5,
        0.055_504_11,
        0.009_618_129,
        0.001_333_355_8,
        0.000_154_035_3,
    ];
    // NaN compares false, and ends up as nearly 0.
    let x = if x > -87.0 { x } else { -87.0 };
    let power = x * std::f32::consts::LOG2_E;
    let rounded = power + ROUND;
    let rest = power - (rounded - ROUND);
    let series = TERMS.iter().rev().fold(0.0, |sum, &term| sum * rest + term);
    let exponent = rounded.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    series * f32::from_bits(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_exponential() {
        for step in 0..87_000 {
            let x = -step as f32 / 1_000.0;
            let exact = f64::from(x).exp();
            assert!(
                (f64::from(exp(x)) / exact - 1.0).abs() < 6e-6,
                "{x}: {} {exact}",
                exp(x)
            );
        }
        assert_eq!(exp(0.0), 1.0);
        for x in [f32::NAN, f32::NEG_INFINITY, -1e30] {
            assert!(exp(x) < 1e-37, "{x}");
        }
    }

    #[test]
    fn sums_are_precise_over_a_large_vocabulary() {
        let logits: Vec<f32> = (0..150_001)
            .map(|id| ((id * 7_919) % 10_007) as f32 / 1_000.0)
            .collect();
        for inverse in [1.0f32, 2.5, 0.1] {
            let exact: f64 = logits
                .iter()
                .map(|&logit| ((f64::from(logit) - 10.006) * f64::from(inverse)).exp())
                .sum();
            assert!((sum_exp(&logits, 10.006, inverse) / exact - 1.0).abs() < 1e-5);
        }
    }
}
