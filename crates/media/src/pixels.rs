//! Plain 8-bit pixels, and the two places where other layouts become them.

/// RGB8 pixels, rows from the top, no padding: three bytes a pixel. Not premultiplied, no colour management.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pixels {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `height * width * 3` bytes.
    pub rgb: Vec<u8>,
    /// The transparency that was composited away, where the file has one and the caller asked to keep it.
    pub alpha: Option<Plane>,
}

/// One 8-bit channel of the same shape as the pixels it comes with: `height * width` bytes, 255 is opaque.
pub type Plane = Vec<u8>;

/// What becomes of a file's own transparency once it is composited over white.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Alpha {
    /// Forgotten.
    #[default]
    Drop,
    /// Kept as a plane of its own, sized like the pixels.
    Keep,
}

// === impl Pixels ===

impl Pixels {
    /// The number of bytes that these hold.
    pub fn byte_len(&self) -> usize {
        self.rgb.len() + self.alpha.as_ref().map_or(0, Vec::len)
    }

    pub(crate) fn opaque(width: u32, height: u32, rgb: Vec<u8>) -> Self {
        Self {
            width,
            height,
            rgb,
            alpha: None,
        }
    }

    /// From grey, one byte a pixel.
    pub(crate) fn from_grey(width: u32, height: u32, grey: &[u8]) -> Self {
        let mut rgb = vec![0; grey.len() * 3];
        for (pixel, &value) in rgb.as_chunks_mut::<3>().0.iter_mut().zip(grey) {
            *pixel = [value; 3];
        }
        Self::opaque(width, height, rgb)
    }

    /// From grey and alpha, two bytes a pixel, composited over white.
    pub(crate) fn from_grey_alpha(width: u32, height: u32, data: &[u8], alpha: Alpha) -> Self {
        let mut rgb = vec![0; data.len() / 2 * 3];
        let (pairs, _) = data.as_chunks::<2>();
        for (pixel, &[value, a]) in rgb.as_chunks_mut::<3>().0.iter_mut().zip(pairs) {
            *pixel = [over_white(value, a); 3];
        }
        let alpha = (alpha == Alpha::Keep).then(|| pairs.iter().map(|pair| pair[1]).collect());
        Self {
            width,
            height,
            rgb,
            alpha,
        }
    }

    /// From RGBA, four bytes a pixel, composited over white in place.
    pub(crate) fn from_rgba(width: u32, height: u32, mut data: Vec<u8>, alpha: Alpha) -> Self {
        let alpha = (alpha == Alpha::Keep).then(|| data.as_chunks::<4>().0.iter().map(|pixel| pixel[3]).collect());
        let count = data.len() / 4;
        for i in 0..count {
            let (from, to) = (i * 4, i * 3);
            let a = data[from + 3];
            for channel in 0..3 {
                data[to + channel] = over_white(data[from + channel], a);
            }
        }
        data.truncate(count * 3);
        data.shrink_to_fit();
        Self {
            width,
            height,
            rgb: data,
            alpha,
        }
    }

    /// From CMYK as JPEG files store it (Adobe's way: 255 is no ink), four bytes a pixel, in place.
    ///
    /// As Pillow does: every CMYK JPEG is taken to be inverted, and ink is multiplied out without a profile.
    pub(crate) fn from_inverted_cmyk(width: u32, height: u32, mut data: Vec<u8>) -> Self {
        let count = data.len() / 4;
        for i in 0..count {
            let (from, to) = (i * 4, i * 3);
            let light = data[from + 3];
            for channel in 0..3 {
                data[to + channel] = light - multiply(255 - data[from + channel], light);
            }
        }
        data.truncate(count * 3);
        data.shrink_to_fit();
        Self::opaque(width, height, data)
    }
}

/// One channel composited over opaque white, in the fixed-point steps of Pillow's `Image.alpha_composite`.
fn over_white(value: u8, alpha: u8) -> u8 {
    let (value, alpha) = (u32::from(value), u32::from(alpha));
    let sum = (value * alpha + 255 * (255 - alpha)) * 128 + (128 << 7);
    // At most 255: sum is at most (65,025 + 128) * 128.
    ((((sum >> 8) + sum) >> 8) >> 7) as u8
}

/// `a * b / 255`, rounded, as Pillow's MULDIV255; at most `b`.
fn multiply(a: u8, b: u8) -> u8 {
    let product = u32::from(a) * u32::from(b) + 128;
    (((product >> 8) + product) >> 8) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compositing_is_exact_at_the_ends_and_rounded_between() {
        for value in 0..=255u8 {
            assert_eq!(over_white(value, 255), value);
            assert_eq!(over_white(value, 0), 255);
            for alpha in 0..=255u8 {
                let exact = (f64::from(value) * f64::from(alpha) + 255.0 * (255.0 - f64::from(alpha))) / 255.0;
                assert!(
                    (f64::from(over_white(value, alpha)) - exact).abs() <= 0.51,
                    "{value} {alpha}"
                );
                assert!(multiply(value, alpha) <= value.min(alpha));
            }
        }
    }

    #[test]
    fn alpha_is_kept_only_on_demand() {
        let rgba = vec![10, 20, 30, 255, 10, 20, 30, 0];
        let kept = Pixels::from_rgba(2, 1, rgba.clone(), Alpha::Keep);
        assert_eq!(
            (kept.rgb.as_slice(), kept.alpha.as_deref()),
            (&[10, 20, 30, 255, 255, 255][..], Some(&[255, 0][..]))
        );
        assert_eq!(Pixels::from_rgba(2, 1, rgba, Alpha::Drop).alpha, None);
        let grey = Pixels::from_grey_alpha(2, 1, &[7, 255, 7, 0], Alpha::Keep);
        assert_eq!(
            (grey.rgb.as_slice(), grey.alpha.as_deref()),
            (&[7, 7, 7, 255, 255, 255][..], Some(&[255, 0][..]))
        );
    }

    #[test]
    fn cmyk_without_ink_is_white_and_black_ink_is_black() {
        let pixels = Pixels::from_inverted_cmyk(3, 1, vec![255, 255, 255, 255, 255, 255, 255, 0, 0, 255, 255, 255]);
        assert_eq!(pixels.rgb, [255, 255, 255, 0, 0, 0, 0, 255, 255]);
    }
}
