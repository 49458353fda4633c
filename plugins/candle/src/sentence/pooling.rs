//! Token vectors to one vector (Reimers and Gurevych 2019, <https://arxiv.org/abs/1908.10084>).

use schemars::JsonSchema;
use serde::Deserialize;

/// How the vectors of a text's tokens become one. Names as sentence-transformers has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PoolingMode {
    /// The first token's.
    Cls,
    /// The largest value of each dimension.
    Max,
    /// The mean.
    Mean,
    /// The sum over the square root of the number of tokens.
    #[serde(rename = "mean_sqrt_len_tokens")]
    MeanSqrtLen,
    /// The mean, the n-th token weighted n.
    WeightedMean,
    /// The last token's.
    LastToken,
}

/// One vector for each mode, one after another, from `rows`, `[tokens, hidden]`; at least one token.
pub(crate) fn pool(modes: &[PoolingMode], rows: &[f32], hidden: usize) -> Vec<f32> {
    modes.iter().flat_map(|mode| pool_one(*mode, rows, hidden)).collect()
}

fn pool_one(mode: PoolingMode, rows: &[f32], hidden: usize) -> Vec<f32> {
    let tokens = rows.len() / hidden;
    match mode {
        PoolingMode::Cls => rows[..hidden].to_vec(),
        PoolingMode::LastToken => rows[(tokens - 1) * hidden..].to_vec(),
        PoolingMode::Max => {
            let mut largest = rows[..hidden].to_vec();
            for row in rows.chunks_exact(hidden) {
                largest
                    .iter_mut()
                    .zip(row)
                    .for_each(|(value, x)| *value = value.max(*x));
            }
            largest
        }
        PoolingMode::Mean => weighted_sum(rows, hidden, |_| 1.0 / tokens as f32),
        PoolingMode::MeanSqrtLen => weighted_sum(rows, hidden, |_| 1.0 / (tokens as f32).sqrt()),
        PoolingMode::WeightedMean => {
            let total = (tokens * (tokens + 1) / 2) as f32;
            weighted_sum(rows, hidden, |token| (token + 1) as f32 / total)
        }
    }
}

fn weighted_sum(rows: &[f32], hidden: usize, weight: impl Fn(usize) -> f32) -> Vec<f32> {
    let mut sum = vec![0.0; hidden];
    for (token, row) in rows.chunks_exact(hidden).enumerate() {
        let weight = weight(token);
        sum.iter_mut()
            .zip(row)
            .for_each(|(value, x): (&mut f32, &f32)| *value += weight * x);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_on_two_tokens() {
        let rows = [1.0, 8.0, 3.0, 2.0];
        for (mode, expected) in [
            (PoolingMode::Cls, [1.0, 8.0]),
            (PoolingMode::LastToken, [3.0, 2.0]),
            (PoolingMode::Max, [3.0, 8.0]),
            (PoolingMode::Mean, [2.0, 5.0]),
            (PoolingMode::MeanSqrtLen, [4.0 / 2f32.sqrt(), 10.0 / 2f32.sqrt()]),
            (PoolingMode::WeightedMean, [7.0 / 3.0, 4.0]),
        ] {
            let made = pool(&[mode], &rows, 2);
            assert!(
                made.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6),
                "{mode:?}: {made:?}"
            );
        }
        assert_eq!(
            pool(&[PoolingMode::Cls, PoolingMode::Max], &rows, 2),
            [1.0, 8.0, 3.0, 8.0]
        );
    }
}
