//! Vectors from a hash: equal bytes, equal vector; other bytes, a vector that is all but orthogonal.

/// A fast 64-bit hash of a kind and its bytes. Not for adversaries.
pub(crate) fn hash(kind: u64, bytes: &[u8]) -> u64 {
    let mut state = mix(kind ^ (bytes.len() as u64).rotate_left(32));
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state = (state ^ u64::from_le_bytes(*word))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29);
    }
    for &byte in rest {
        state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    mix(state)
}

/// `width` numbers drawn from `seed`, with an L2 norm of 1.
pub(crate) fn unit_vector(seed: u64, width: usize) -> Vec<f32> {
    let mut state = seed;
    let mut values: Vec<f32> = (0..width)
        .map(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            // 24 random bits, moved to the middle of their step so that none is 0.
            ((mix(state) >> 40) as f32 + 0.5) / 8_388_608.0 - 1.0
        })
        .collect();
    let norm = values.iter().map(|x| x * x).sum::<f32>().sqrt();
    values.iter_mut().for_each(|x| *x /= norm);
    values
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195).
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_have_norm_one_and_differ() {
        let vector = |text: &str, width| unit_vector(hash(0, text.as_bytes()), width);
        for width in [1, 2, 64, 1024] {
            let norm: f32 = vector("a", width).iter().map(|x| x * x).sum();
            assert!((norm - 1.0).abs() < 1e-4, "{width}: {norm}");
        }
        let cosine: f32 = vector("a red circle", 1024)
            .iter()
            .zip(vector("a red circlf", 1024))
            .map(|(a, b)| a * b)
            .sum();
        assert!(cosine.abs() < 0.2, "{cosine}");
    }

    #[test]
    fn every_byte_counts_and_so_do_kind_and_length() {
        let base = hash(0, &[0; 20]);
        assert_ne!(base, hash(1, &[0; 20]));
        assert_ne!(base, hash(0, &[0; 21]));
        for at in 0..20 {
            let mut bytes = [0; 20];
            bytes[at] = 1;
            assert_ne!(base, hash(0, &bytes), "{at}");
        }
    }
}
