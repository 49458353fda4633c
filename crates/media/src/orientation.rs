//! EXIF orientation as a transposition followed by mirroring, on planes and on rectangles.
//!
//! A rectangle can be taken back to the stored picture, so that a crop and a resize happen before the pixels are moved:
//! far fewer of them.

use crate::Pixels;

/// How to turn a stored picture upright: swap its axes first, then mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Orientation {
    /// Rows become columns.
    pub(crate) swap: bool,
    /// Left becomes right, after the swap.
    pub(crate) mirror_x: bool,
    /// Top becomes bottom, after the swap.
    pub(crate) mirror_y: bool,
}

/// A rectangle with fractional sides, in pixels from the top left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Area {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

// === impl Orientation ===

impl Orientation {
    /// From an EXIF block (TIFF header first). Anything malformed means upright, as in viewers.
    pub(crate) fn from_exif(block: &[u8]) -> Self {
        image::metadata::Orientation::from_exif_chunk(block)
            .map_or(Self::default(), |found| Self::from_tag(found.to_exif()))
    }

    /// From the value of tag 0x0112, 1 to 8; another value means upright.
    fn from_tag(value: u8) -> Self {
        let (swap, mirror_x, mirror_y) = match value {
            2 => (false, true, false),
            3 => (false, true, true),
            4 => (false, false, true),
            5 => (true, false, false),
            6 => (true, true, false),
            7 => (true, true, true),
            8 => (true, false, true),
            _ => (false, false, false),
        };
        Self {
            swap,
            mirror_x,
            mirror_y,
        }
    }

    /// The size of an upright picture whose stored size this is, or the other way round.
    pub(crate) fn size(self, width: u32, height: u32) -> (u32, u32) {
        if self.swap { (height, width) } else { (width, height) }
    }

    /// Where `area` of the upright picture of this size lies in the stored one.
    pub(crate) fn area_in_stored(self, area: Area, width: u32, height: u32) -> Area {
        let mirrored = Area {
            left: if self.mirror_x {
                f64::from(width) - area.left - area.width
            } else {
                area.left
            },
            top: if self.mirror_y {
                f64::from(height) - area.top - area.height
            } else {
                area.top
            },
            ..area
        };
        if self.swap {
            Area {
                left: mirrored.top,
                top: mirrored.left,
                width: mirrored.height,
                height: mirrored.width,
            }
        } else {
            mirrored
        }
    }

    /// Turns stored pixels upright.
    pub(crate) fn apply(self, pixels: Pixels) -> Pixels {
        if self == Self::default() {
            return pixels;
        }
        let (width, height) = self.size(pixels.width, pixels.height);
        let stored_width = pixels.width as usize;
        let rgb = self.turn::<3>(&pixels.rgb, stored_width, (width as usize, height as usize));
        let alpha = pixels
            .alpha
            .map(|plane| self.turn::<1>(&plane, stored_width, (width as usize, height as usize)));
        Pixels {
            width,
            height,
            rgb,
            alpha,
        }
    }

    /// Moves elements of `N` bytes into their places in a picture of `width` by `height`.
    fn turn<const N: usize>(self, stored: &[u8], stored_width: usize, (width, height): (usize, usize)) -> Vec<u8> {
        let mut turned = vec![0; stored.len()];
        let (from, _) = stored.as_chunks::<N>();
        let (to, _) = turned.as_chunks_mut::<N>();
        // Tiles keep the columns that a swap reads in cache.
        for tile_y in (0..height).step_by(TILE) {
            for tile_x in (0..width).step_by(TILE) {
                for y in tile_y..height.min(tile_y + TILE) {
                    let v = if self.mirror_y { height - 1 - y } else { y };
                    for x in tile_x..width.min(tile_x + TILE) {
                        let u = if self.mirror_x { width - 1 - x } else { x };
                        let at = if self.swap {
                            u * stored_width + v
                        } else {
                            v * stored_width + u
                        };
                        to[y * width + x] = from[at];
                    }
                }
            }
        }
        turned
    }
}

const TILE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// A 3x2 picture, A to F, as each orientation tag asks for it to be shown.
    #[test]
    fn all_eight_orientations() {
        let rows: [(u8, u32, &[u8]); 9] = [
            (1, 3, b"ABCDEF"),
            (2, 3, b"CBAFED"),
            (3, 3, b"FEDCBA"),
            (4, 3, b"DEFABC"),
            (5, 2, b"ADBECF"),
            (6, 2, b"DAEBFC"),
            (7, 2, b"FCEBDA"),
            (8, 2, b"CFBEAD"),
            (9, 3, b"ABCDEF"),
        ];
        for (tag, width, want) in rows {
            let mut stored = Pixels::from_grey(3, 2, b"ABCDEF");
            stored.alpha = Some(b"ABCDEF".to_vec());
            let upright = Orientation::from_tag(tag).apply(stored);
            assert_eq!(
                (upright.width, upright.alpha.as_deref()),
                (width, Some(want)),
                "tag {tag}"
            );
            let reds: Vec<u8> = upright.rgb.iter().copied().step_by(3).collect();
            assert_eq!(reds, want, "tag {tag}");
        }
    }

    #[test]
    fn an_area_is_found_in_the_stored_picture() {
        // In the upright picture of 2x3, the pixel at (1, 2); stored as 3x2.
        let area = Area {
            left: 1.0,
            top: 2.0,
            width: 1.0,
            height: 1.0,
        };
        for (tag, left, top) in [(5, 2.0, 1.0), (6, 2.0, 0.0), (7, 0.0, 0.0), (8, 0.0, 1.0)] {
            let got = Orientation::from_tag(tag).area_in_stored(area, 2, 3);
            assert_eq!((got.left, got.top), (left, top), "tag {tag}");
        }
    }
}
