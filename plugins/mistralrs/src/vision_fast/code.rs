//! How image tokens are written into the bytes of a picture, and the weights that read them out again.
//!
//! The engine's tower does three things to a picture that can't be switched off: a convolution over patches, a layer norm
//! over each patch's row, a linear map. A token's vector `x` of `width` numbers goes through them like this:
//!
//! - `y = x / scale` and two more numbers `a`, `b` make a row of `width + 2` whose mean is 0 and whose mean square is 1:
//!   the norm leaves that as it is. `a + b = −Σy` and `a² + b² = width + 2 − Σy²` have a solution while `Σy² ≤ 2`, for which
//!   `scale` is chosen: the longest vector that the model's last layers can make.
//! - Each number is a whole multiple of a power of two, written as four digits of −128 to 127 to the base 256; a digit is a
//!   byte, 128 of which is 0. The convolution multiplies them by powers of two and adds them up.
//! - The linear map takes the first `width` times `scale`, a power of two.

use image::RgbImage;

/// Numbers beside a token's own.
const EXTRA: usize = 2;

/// Digits of a number.
const DIGITS: usize = 4;

/// Numbers are whole multiples of `2^(bound − 31)` when less than `2^bound` in size.
const BITS: i32 = 31;

/// The byte that stands for the digit 0.
pub(super) const ZERO: u8 = 128;

/// How vectors become pictures, for one model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Code {
    /// Numbers of a token.
    width: usize,
    /// Tokens of a row of the picture, which has as many rows.
    grid: usize,
    /// Pixels of a side of a token's patch.
    patch: usize,
    /// A power of two that no token is longer than.
    scale: f32,
}

/// A vector that is longer than the model can make, or not finite.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the vision tower makes numbers that are too large or none")]
pub(crate) struct TooLong;

// === impl Code ===

impl Code {
    /// For `grid²` tokens of `width` numbers, none of them longer than `longest`.
    pub(super) fn new(width: usize, grid: usize, longest: f32) -> Self {
        let bytes = DIGITS * (width + EXTRA);
        let patch = (1..).find(|side| side * side * 3 >= bytes).unwrap_or(bytes);
        Self {
            width,
            grid,
            patch,
            scale: 2f32.powi(longest.max(f32::MIN_POSITIVE).log2().ceil() as i32),
        }
    }

    /// Numbers in a row.
    pub(super) fn row(&self) -> usize {
        self.width + EXTRA
    }

    /// Pixels of a side of a patch.
    pub(super) fn patch(&self) -> usize {
        self.patch
    }

    /// Pixels of a side of the picture.
    pub(super) fn side(&self) -> usize {
        self.grid * self.patch
    }

    /// What the linear map multiplies by.
    pub(super) fn scale(&self) -> f32 {
        self.scale
    }

    /// The picture that holds `tokens`, row by row `grid²` of them.
    ///
    /// # Errors
    /// If a token is longer than the model can make.
    ///
    /// # Panics
    /// When there aren't `grid²` tokens.
    pub(super) fn picture(&self, tokens: &[f32]) -> Result<RgbImage, TooLong> {
        let Self { width, grid, patch, .. } = *self;
        assert_eq!(tokens.len(), grid * grid * width, "a picture holds grid² tokens");
        let mut bytes = vec![ZERO; self.side() * self.side() * 3];
        let mut row = vec![0.0f64; self.row()];
        for (index, token) in tokens.chunks_exact(width).enumerate() {
            self.balance(token, &mut row)?;
            let (top, left) = (index / grid * patch, index % grid * patch);
            for (number, &value) in row.iter().enumerate() {
                for (place, digit) in digits((value / self.unit(number)).round()).into_iter().enumerate() {
                    let (channel, y, x) = self.place(number, place);
                    bytes[((top + y) * self.side() + left + x) * 3 + channel] = digit;
                }
            }
        }
        let side = self.side() as u32;
        RgbImage::from_raw(side, side, bytes).ok_or(TooLong)
    }

    /// The convolution's weights, `[row, 3, patch, patch]`, for digits that are centred on 0.
    pub(super) fn weights(&self) -> Vec<f32> {
        let area = self.patch * self.patch;
        let mut weights = vec![0.0; self.row() * 3 * area];
        for number in 0..self.row() {
            for place in 0..DIGITS {
                let (channel, y, x) = self.place(number, place);
                let weight = self.unit(number) * 256f64.powi(place as i32);
                weights[((number * 3 + channel) * self.patch + y) * self.patch + x] = weight as f32;
            }
        }
        weights
    }

    /// `token / scale`, and two numbers that bring the mean to 0 and the mean square to 1.
    fn balance(&self, token: &[f32], row: &mut [f64]) -> Result<(), TooLong> {
        let (mut sum, mut squares) = (0.0, 0.0);
        for (to, &x) in row.iter_mut().zip(token) {
            *to = f64::from(x) / f64::from(self.scale);
            sum += *to;
            squares += *to * *to;
        }
        let rest = self.row() as f64 - squares;
        let root = 2.0 * rest - sum * sum;
        // Not a number is neither.
        if !(squares <= 2.0 && root >= 0.0) {
            return Err(TooLong);
        }
        let a = (root.sqrt() - sum) / 2.0;
        row[self.width] = a;
        row[self.width + 1] = -sum - a;
        Ok(())
    }

    /// What the number's last digit counts.
    fn unit(&self, number: usize) -> f64 {
        let bound = match number < self.width {
            // A token's own are at most √2, the others at most the root of the row's length.
            true => 1,
            false => (self.row() as f64).sqrt().log2().ceil() as i32 + 1,
        };
        2f64.powi(bound - BITS)
    }

    /// Channel, row and column within a patch of a digit.
    fn place(&self, number: usize, place: usize) -> (usize, usize, usize) {
        let pixel = number * DIGITS + place;
        let (channel, pixel) = (pixel / (self.patch * self.patch), pixel % (self.patch * self.patch));
        (channel, pixel / self.patch, pixel % self.patch)
    }
}

/// A whole number of less than 31 bits as bytes, the lowest digit first.
fn digits(number: f64) -> [u8; DIGITS] {
    let mut number = number as i64;
    std::array::from_fn(|_| {
        let digit = (number + 128).rem_euclid(256) - 128;
        number = (number - digit) / 256;
        (digit + i64::from(ZERO)) as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the engine's tower makes of a patch, in f32 as it does.
    fn read(code: &Code, picture: &RgbImage, index: usize) -> Vec<f32> {
        let weights = code.weights();
        let (top, left) = (index / code.grid * code.patch, index % code.grid * code.patch);
        let area = code.patch * code.patch;
        let row: Vec<f32> = weights
            .chunks_exact(3 * area)
            .map(|weights| {
                weights.iter().enumerate().fold(0.0, |sum, (at, weight)| {
                    let (channel, y, x) = (at / area, at % area / code.patch, at % code.patch);
                    let byte = picture.get_pixel((left + x) as u32, (top + y) as u32).0[channel];
                    sum + (f32::from(byte) - f32::from(ZERO)) * weight
                })
            })
            .collect();
        let mean = row.iter().sum::<f32>() / row.len() as f32;
        let square = row.iter().map(|x| x * x).sum::<f32>() / row.len() as f32;
        let scale = (square - mean * mean + 1e-12).sqrt().recip();
        row[..code.width]
            .iter()
            .map(|x| (x - mean) * scale * code.scale())
            .collect()
    }

    #[test]
    fn tokens_come_back_as_they_were() {
        for width in [6, 256, 577] {
            let tokens: Vec<f32> = (0..4 * width)
                .map(|index| ((index * 7919 % 1013) as f32 / 506.0 - 1.0) * if index % 50 == 7 { 5.0 } else { 0.7 })
                .collect();
            let longest = tokens
                .chunks(width)
                .map(|x| x.iter().map(|x| x * x).sum::<f32>().sqrt())
                .fold(0.0, f32::max);
            for room in [1.0, 20.0] {
                let code = Code::new(width, 2, longest * room);
                let picture = code.picture(&tokens).expect("fits");
                for (index, token) in tokens.chunks(width).enumerate() {
                    let found = read(&code, &picture, index);
                    let off = token.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                    assert!(
                        off < 3e-6 * longest / (width as f32).sqrt() * room.sqrt(),
                        "width {width}: off by {off}"
                    );
                }
            }
        }
    }

    #[test]
    fn worst_cases_fit_and_what_does_not_is_refused() {
        let code = Code::new(4, 1, 2.0);
        for token in [
            [1.0, 1.0, 1.0, 1.0],
            [2.0, 0.0, 0.0, 0.0],
            [0.0; 4],
            [-1.0, -1.0, -1.0, -1.0],
        ] {
            let picture = code.picture(&token).expect("as long as the longest");
            let found = read(&code, &picture, 0);
            assert!(
                token.iter().zip(&found).all(|(a, b)| (a - b).abs() < 1e-5),
                "{token:?} {found:?}"
            );
        }
        assert_eq!(code.picture(&[4.0, 0.0, 0.0, 0.0]), Err(TooLong));
        assert_eq!(code.picture(&[f32::NAN, 0.0, 0.0, 0.0]), Err(TooLong));
    }
}
