//! Arithmetic on finished vectors: cut, average, compare, write.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sensorium_engine::{EmbedCapabilities, Scoring, ScoringRule};

use crate::error::ApiError;

/// Checks a wanted width against what the model can do.
///
/// # Errors
/// Naming `dimensions` and saying what is allowed.
pub(crate) fn check_dimensions(wanted: Option<u32>, embed: &EmbedCapabilities) -> Result<(), ApiError> {
    let Some(wanted) = wanted else { return Ok(()) };
    let width = embed.width;
    let allowed = match &embed.matryoshka {
        _ if wanted == width => return Ok(()),
        Some(matryoshka) if matryoshka.allows(wanted, width) => return Ok(()),
        None => format!("only its own {width}"),
        Some(matryoshka) if matryoshka.dimensions.is_empty() => format!("1 to {width}"),
        Some(matryoshka) => {
            let mut list: Vec<u32> = matryoshka.dimensions.iter().copied().chain([width]).collect();
            list.sort_unstable();
            list.dedup();
            list.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
        }
    };
    Err(ApiError::invalid(
        "dimensions",
        format!("dimensions must not be {wanted}: this model gives {allowed}"),
    ))
}

/// Cuts a vector to a prefix and makes that a unit vector again (Kusupati et al. 2022).
pub(crate) fn shorten(vector: &mut Vec<f32>, dimensions: Option<u32>) {
    if let Some(dimensions) = dimensions
        && (dimensions as usize) < vector.len()
    {
        vector.truncate(dimensions as usize);
        normalise(vector);
    }
}

/// Divides by the L2 norm; a zero vector is left alone.
pub(crate) fn normalise(vector: &mut [f32]) {
    let norm = vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    if norm > 0.0 {
        for x in vector {
            *x = (f64::from(*x) / norm) as f32;
        }
    }
}

/// The normalised mean of vectors of one width.
pub(crate) fn mean<'a>(vectors: impl IntoIterator<Item = &'a [f32]>) -> Vec<f32> {
    let mut sum: Vec<f32> = Vec::new();
    for vector in vectors {
        if sum.is_empty() {
            sum = vec![0.0; vector.len()];
        }
        for (total, x) in sum.iter_mut().zip(vector) {
            *total += x;
        }
    }
    normalise(&mut sum);
    sum
}

/// Little-endian f32 in base64, as OpenAI's clients read it.
pub(crate) fn to_base64(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}

/// Scores of one input against all candidates, from the dot products of unit vectors, by the
/// model's own rule.
pub(crate) fn score(input: &[f32], candidates: &[Vec<f32>], scoring: Scoring) -> Vec<f32> {
    let logits: Vec<f64> = candidates
        .iter()
        .map(|candidate| {
            let cosine: f64 = input
                .iter()
                .zip(candidate)
                .map(|(a, b)| f64::from(*a) * f64::from(*b))
                .sum();
            f64::from(scoring.scale) * cosine + f64::from(scoring.bias)
        })
        .collect();
    match scoring.rule {
        ScoringRule::Softmax => {
            let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let powers: Vec<f64> = logits.iter().map(|logit| (logit - highest).exp()).collect();
            let sum: f64 = powers.iter().sum();
            powers.iter().map(|power| (power / sum) as f32).collect()
        }
        ScoringRule::Sigmoid => logits
            .iter()
            .map(|logit| (1.0 / (1.0 + (-logit).exp())) as f32)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use sensorium_engine::{Matryoshka, Modality};

    use super::*;

    fn embed(matryoshka: Option<Vec<u32>>) -> EmbedCapabilities {
        EmbedCapabilities {
            modalities: vec![Modality::Text],
            width: 8,
            context_length: 16,
            matryoshka: matryoshka.map(|dimensions| Matryoshka { dimensions }),
            scoring: None,
            image: None,
            token_ids: false,
        }
    }

    #[test]
    fn dimensions_are_checked_against_the_model() {
        for (listed, wanted, expected) in [
            (None, 8, None),
            (None, 4, Some("only its own 8")),
            (Some(vec![]), 4, None),
            (Some(vec![]), 9, Some("1 to 8")),
            (Some(vec![4, 2]), 2, None),
            (Some(vec![4, 2]), 8, None),
            (Some(vec![4, 2]), 3, Some("2, 4, 8")),
        ] {
            let result = check_dimensions(Some(wanted), &embed(listed)).map_err(|error| error.to_string());
            match expected {
                None => assert_eq!(result, Ok(())),
                Some(text) => assert!(result.clone().unwrap_err().contains(text), "{result:?}"),
            }
        }
    }

    #[test]
    fn a_prefix_is_a_unit_vector() {
        let mut vector = vec![0.6, 0.0, 0.8];
        shorten(&mut vector, Some(2));
        assert_eq!(vector, [1.0, 0.0]);
        assert_eq!(mean([&[1.0, 0.0][..], &[0.0, 1.0]]), [0.5_f32.sqrt(); 2]);
    }

    #[test]
    fn scores_follow_the_rule() {
        let candidates = vec![vec![1.0, 0.0], vec![0.0, 1.0]];
        let soft = Scoring {
            rule: ScoringRule::Softmax,
            scale: 100.0,
            bias: 0.0,
        };
        let scores = score(&[1.0, 0.0], &candidates, soft);
        assert!(scores[0] == 1.0 && scores[1] < 1e-30, "{scores:?}");
        assert_eq!(score(&[0.5, 0.5], &candidates, soft), [0.5, 0.5]);
        let sigmoid = Scoring {
            rule: ScoringRule::Sigmoid,
            scale: 10.0,
            bias: -10.0,
        };
        let scores = score(&[1.0, 0.0], &candidates, sigmoid);
        assert_eq!(scores[0], 0.5);
        assert!(scores[1] < 1e-4);
    }

    #[test]
    fn base64_is_little_endian_f32() {
        assert_eq!(to_base64(&[1.0, -2.0]), "AACAPwAAAMA=");
    }
}
