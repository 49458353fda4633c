//! Where the result's pixels come from: scale, crop and padding, worked out before any pixel is touched.

use super::{ResizeMode, ResizeSpec};
use crate::orientation::Area;
use crate::{Pixels, Plane};

/// A resize of one upright picture: `area` of it becomes `width` by `height` pixels, set into the target.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    /// In the upright source.
    pub(super) area: Area,
    /// Columns that `area` becomes.
    pub(super) width: u32,
    /// Rows that `area` becomes.
    pub(super) height: u32,
    /// Whether rows are resampled before columns.
    pub(super) vertical_first: bool,
    /// Where nearest neighbour takes its columns.
    pub(super) columns: Steps,
    /// Where nearest neighbour takes its rows.
    pub(super) rows: Steps,
    target: (u32, u32),
    offset: (u32, u32),
}

/// Steps over the source along one axis, of which the first few are cropped off.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Steps {
    pub(super) scale: f64,
    pub(super) first: u32,
    pub(super) count: u32,
}

/// The same along one axis.
struct Axis {
    start: f64,
    length: f64,
    steps: Steps,
    offset: u32,
}

// === impl Plan ===

impl Plan {
    /// Nothing where the source or the target has no pixels, or the target is absurd.
    pub(super) fn new(width: u32, height: u32, spec: &ResizeSpec) -> Option<Self> {
        if [width, height, spec.width, spec.height].contains(&0) || spec.width.max(spec.height) > MAX_TARGET {
            return None;
        }
        let box_size = (spec.width, spec.height);
        let ((scaled_width, scaled_height), target) = match spec.mode {
            ResizeMode::Squash => (box_size, box_size),
            ResizeMode::ShortestEdgeCrop { shortest_edge } => {
                (shortest_edge_size(width, height, shortest_edge), box_size)
            }
            ResizeMode::Fit => {
                let fitted = fitted_size(width, height, box_size);
                (fitted, fitted)
            }
        };
        if scaled_width == 0 || scaled_height == 0 {
            return None;
        }
        let x = Axis::new(width, scaled_width, target.0);
        let y = Axis::new(height, scaled_height, target.1);
        Some(Self {
            area: Area {
                left: x.start,
                top: y.start,
                width: x.length,
                height: y.length,
            },
            width: x.steps.count,
            height: y.steps.count,
            vertical_first: vertical_first((width, height), (scaled_width, scaled_height)),
            columns: x.steps,
            rows: y.steps,
            target,
            offset: (x.offset, y.offset),
        })
    }

    /// Whether a picture of this size comes out as it went in.
    pub(super) fn changes_nothing(&self, width: u32, height: u32) -> bool {
        let scaled_by_one = self.columns.scale == 1.0 && self.rows.scale == 1.0;
        scaled_by_one && (self.width, self.height) == (width, height) && self.target == (width, height)
    }

    /// Sets the resized pixels into the target, with black around where they are smaller.
    pub(super) fn pad(&self, pixels: Pixels) -> Pixels {
        if self.target == (self.width, self.height) {
            return pixels;
        }
        let (width, height) = self.target;
        let rgb = self.pad_plane::<3>(&pixels.rgb);
        let alpha = pixels.alpha.map(|plane| self.pad_plane::<1>(&plane));
        Pixels {
            width,
            height,
            rgb,
            alpha,
        }
    }

    fn pad_plane<const N: usize>(&self, plane: &[u8]) -> Plane {
        let stride = self.target.0 as usize * N;
        let mut padded = vec![0; stride * self.target.1 as usize];
        let row_len = self.width as usize * N;
        let rows = padded.chunks_exact_mut(stride).skip(self.offset.1 as usize);
        for (to, from) in rows.zip(plane.chunks_exact(row_len)) {
            to[self.offset.0 as usize * N..][..row_len].copy_from_slice(from);
        }
        padded
    }
}

// === impl Axis ===

impl Axis {
    /// `source` pixels scaled to `scaled`, of which the middle `target` are kept, as transformers' `center_crop`.
    fn new(source: u32, scaled: u32, target: u32) -> Self {
        let scale = f64::from(source) / f64::from(scaled);
        if scaled <= target {
            let steps = Steps {
                scale,
                first: 0,
                count: scaled,
            };
            return Self {
                start: 0.0,
                length: f64::from(source),
                steps,
                offset: (target - scaled).div_ceil(2),
            };
        }
        let first = (scaled - target) / 2;
        let start = f64::from(first) * scale;
        let length = (f64::from(target) * scale).min(f64::from(source) - start);
        Self {
            start,
            length,
            steps: Steps {
                scale,
                first,
                count: target,
            },
            offset: 0,
        }
    }
}

/// Pillow's order of passes, of the whole picture: columns first unless more than twice as many rows as columns go
/// (since Pillow 13; before, always columns first). It shows, since each pass rounds.
fn vertical_first(source: (u32, u32), scaled: (u32, u32)) -> bool {
    let (columns, rows) = (source.0.saturating_sub(scaled.0), source.1.saturating_sub(scaled.1));
    u64::from(rows) > 2 * u64::from(columns)
}

/// No model takes more a side.
const MAX_TARGET: u32 = 8192;

/// As transformers' `get_resize_output_image_size` with `default_to_square=False`: the longer side is rounded down.
fn shortest_edge_size(width: u32, height: u32, edge: u32) -> (u32, u32) {
    let (short, long) = (width.min(height), width.max(height));
    let scaled = u64::from(edge) * u64::from(long) / u64::from(short.max(1));
    let scaled = u32::try_from(scaled).unwrap_or(u32::MAX).max(1);
    if width <= height {
        (edge, scaled)
    } else {
        (scaled, edge)
    }
}

/// As Pillow's `thumbnail`: the side that fits more tightly becomes the box's, and the other one whichever whole number
/// keeps the aspect ratio better.
fn fitted_size(width: u32, height: u32, (box_width, box_height): (u32, u32)) -> (u32, u32) {
    if width <= box_width && height <= box_height {
        return (width, height);
    }
    let aspect = f64::from(width) / f64::from(height);
    let (x, y) = (f64::from(box_width), f64::from(box_height));
    let nearer = |exact: f64, error: &dyn Fn(f64) -> f64| {
        let (down, up) = (exact.floor(), exact.ceil());
        let best = if error(up) < error(down) { up } else { down };
        // At most a side of the box, by how it was chosen.
        best.max(1.0) as u32
    };
    if x / y >= aspect {
        (nearer(y * aspect, &|n| (aspect - n / y).abs()), box_height)
    } else {
        let error = |n: f64| if n == 0.0 { 0.0 } else { (aspect - x / n).abs() };
        (box_width, nearer(x / aspect, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Filter;
    use super::*;

    fn crop(width: u32, height: u32, edge: u32, target: (u32, u32)) -> Plan {
        let mode = ResizeMode::ShortestEdgeCrop { shortest_edge: edge };
        Plan::new(
            width,
            height,
            &ResizeSpec {
                width: target.0,
                height: target.1,
                mode,
                filter: Filter::Bicubic,
            },
        )
        .unwrap()
    }

    #[test]
    fn shortest_edges_round_down() {
        for ((width, height), edge, want) in [
            ((640, 480), 224, (298, 224)),
            ((480, 640), 224, (224, 298)),
            ((640, 427), 224, (335, 224)),
            ((100, 100), 64, (64, 64)),
            ((1, 16_384), 64, (64, 1_048_576)),
        ] {
            assert_eq!(shortest_edge_size(width, height, edge), want);
        }
    }

    #[test]
    fn pictures_shrink_to_fit_and_never_grow() {
        // Made with Pillow 13: `Image.new("RGB", size).thumbnail(box, reducing_gap=None)`.
        for (size, target, want) in [
            ((640, 480), (512, 512), (512, 384)),
            ((480, 640), (512, 512), (384, 512)),
            ((512, 512), (512, 512), (512, 512)),
            ((513, 512), (512, 512), (512, 511)),
            ((100, 37), (64, 64), (64, 24)),
            ((37, 100), (64, 64), (24, 64)),
            ((1000, 3), (64, 64), (64, 1)),
            ((3, 1000), (64, 64), (1, 64)),
            ((16000, 1), (64, 64), (64, 1)),
            ((1, 16000), (64, 64), (1, 64)),
            ((333, 777), (100, 50), (21, 50)),
            ((777, 333), (50, 100), (50, 21)),
            ((1999, 1501), (640, 481), (640, 481)),
            ((20, 30), (64, 64), (20, 30)),
            ((4001, 2999), (1024, 1024), (1024, 768)),
        ] {
            assert_eq!(fitted_size(size.0, size.1, target), want, "{size:?} into {target:?}");
        }
    }

    #[test]
    fn what_fits_is_left_alone() {
        let plan = |width, height| {
            let spec = ResizeSpec {
                width: 64,
                height: 48,
                mode: ResizeMode::Fit,
                filter: Filter::Lanczos,
            };
            Plan::new(width, height, &spec).unwrap()
        };
        for (width, height, same) in [(64, 48, true), (1, 1, true), (65, 48, false), (64, 49, false)] {
            assert_eq!(
                plan(width, height).changes_nothing(width, height),
                same,
                "{width} by {height}"
            );
        }
    }

    #[test]
    fn the_middle_is_kept() {
        let plan = crop(640, 480, 224, (224, 224));
        assert_eq!((plan.width, plan.height, plan.offset), (224, 224, (0, 0)));
        // (298 - 224) / 2 = 37 of 298 columns are dropped on the left.
        assert!((plan.area.left - 37.0 * 640.0 / 298.0).abs() < 1e-9);
        assert!((plan.area.width - 224.0 * 640.0 / 298.0).abs() < 1e-9);
        assert_eq!((plan.area.top, plan.area.height), (0.0, 480.0));
    }

    #[test]
    fn rows_go_first_where_far_more_of_them_go() {
        for (source, scaled, want) in [
            ((640, 480), (298, 224), false),
            ((480, 640), (224, 298), false),
            ((300, 400), (200, 200), false),
            ((300, 401), (200, 200), true),
            ((100, 1000), (64, 640), true),
            ((100, 150), (120, 130), true),
            ((100, 100), (200, 200), false),
        ] {
            assert_eq!(vertical_first(source, scaled), want, "{source:?} to {scaled:?}");
        }
    }

    #[test]
    fn a_target_without_pixels_is_no_plan() {
        for (width, height, edge) in [(0, 1, 1), (1, 0, 1), (1, 1, 0), (10_000, 1, 1)] {
            let mode = ResizeMode::ShortestEdgeCrop { shortest_edge: edge };
            assert_eq!(
                Plan::new(
                    9,
                    9,
                    &ResizeSpec {
                        width,
                        height,
                        mode,
                        filter: Filter::Bicubic
                    }
                ),
                None
            );
        }
    }

    #[test]
    fn black_surrounds_what_is_too_small() {
        let plan = crop(2, 1, 1, (5, 2));
        assert_eq!((plan.width, plan.height, plan.offset), (2, 1, (2, 1)));
        let padded = plan.pad(Pixels::from_grey(2, 1, &[7, 9]));
        let reds: Vec<u8> = padded.rgb.iter().copied().step_by(3).collect();
        assert_eq!(reds, [0, 0, 0, 0, 0, 0, 0, 7, 9, 0]);
    }
}
