//! Noise that depends on a seed and a place alone, not on the batch, the device or what was drawn before.
//!
//! Philox 4x32-10 (Salmon et al. 2011) is a function of a key and a counter: the key is the seed, the counter is a block's
//! number and the stream. Two pairs of words make four normal numbers (Box & Muller 1958), computed in f64 and rounded to
//! f32. Everything happens on the CPU.

use tch::{Device, Tensor};

/// What noise is for. Each use has a stream of its own, so that no two draws overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// The latents that an image begins as.
    Initial,
    /// The sample of the distribution that the encoder makes of an image.
    Encoding,
    /// The same of the masked image, for UNets that see it.
    MaskedEncoding,
    /// What the sampler adds after the model's pass of this number.
    Step(u32),
}

/// Rounds of the block function.
const ROUNDS: usize = 10;

/// Standard normal numbers of this shape for one image, f32 on the CPU: `[1, ..shape]`.
pub fn normal(seed: u64, stream: Stream, shape: &[i64]) -> Tensor {
    let count = shape.iter().product::<i64>() as usize;
    let stream = match stream {
        Stream::Initial => 0,
        Stream::Encoding => 1,
        Stream::MaskedEncoding => 2,
        Stream::Step(number) => (1 << 32) | u64::from(number),
    };
    let mut values = Vec::with_capacity(count.next_multiple_of(4));
    for block in 0..count.div_ceil(4) as u64 {
        let words = philox(
            seed,
            [block as u32, (block >> 32) as u32, stream as u32, (stream >> 32) as u32],
        );
        values.extend(box_muller(words[0], words[1]));
        values.extend(box_muller(words[2], words[3]));
    }
    values.truncate(count);
    let mut size = vec![1];
    size.extend(shape);
    Tensor::from_slice(&values).view(size.as_slice()).to_device(Device::Cpu)
}

/// Two words to two independent standard normal numbers.
fn box_muller(a: u32, b: u32) -> [f32; 2] {
    // Never 0, so that the logarithm is finite.
    let uniform = |word: u32| (f64::from(word) + 0.5) / 4_294_967_296.0;
    let (radius, angle) = ((-2.0 * uniform(a).ln()).sqrt(), std::f64::consts::TAU * uniform(b));
    [(radius * angle.cos()) as f32, (radius * angle.sin()) as f32]
}

/// Philox 4x32-10.
fn philox(seed: u64, mut counter: [u32; 4]) -> [u32; 4] {
    let mut key = [seed as u32, (seed >> 32) as u32];
    for _ in 0..ROUNDS {
        let wide = |factor: u32, word: u32| u64::from(factor) * u64::from(word);
        let (a, b) = (wide(0xD251_1F53, counter[0]), wide(0xCD9E_8D57, counter[2]));
        counter = [
            (b >> 32) as u32 ^ counter[1] ^ key[0],
            b as u32,
            (a >> 32) as u32 ^ counter[3] ^ key[1],
            a as u32,
        ];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philox_is_the_published_function() {
        // Known answers of Random123's kat_vectors.
        assert_eq!(philox(0, [0; 4]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(
            philox(u64::MAX, [u32::MAX; 4]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox(
                0x299f_31d0_a409_3822,
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn numbers_are_normal_and_streams_apart() {
        let draw = |seed, stream| normal(seed, stream, &[4, 64, 64]);
        let x = draw(7, Stream::Initial);
        assert_eq!(x.size(), [1, 4, 64, 64]);
        let number = |x: Tensor| f64::try_from(x).expect("a number");
        let (mean, deviation) = (number(x.mean(None)), number(x.std(true)));
        assert!(
            mean.abs() < 0.02 && (deviation - 1.0).abs() < 0.02,
            "{mean} {deviation}"
        );
        assert_eq!(x, draw(7, Stream::Initial));
        for other in [
            draw(8, Stream::Initial),
            draw(7, Stream::Step(0)),
            draw(7, Stream::Encoding),
        ] {
            let correlation = number((&x * other).mean(None));
            assert!(correlation.abs() < 0.03, "{correlation}");
        }
    }
}
