//! Nearest neighbour: the one filter that computes nothing.

use super::plan::{Plan, Steps};
use crate::{Pixels, Plane};

/// Samples an upright picture where `plan` says.
pub(super) fn sample(upright: &Pixels, plan: &Plan) -> Pixels {
    let columns = positions(plan.columns, upright.width);
    let rows = positions(plan.rows, upright.height);
    let stride = upright.width as usize;
    let rgb = sample_plane::<3>(&upright.rgb, stride, &columns, &rows);
    let alpha = upright
        .alpha
        .as_ref()
        .map(|plane| sample_plane::<1>(plane, stride, &columns, &rows));
    let (width, height) = (plan.width, plan.height);
    Pixels {
        width,
        height,
        rgb,
        alpha,
    }
}

fn sample_plane<const N: usize>(plane: &[u8], stride: usize, columns: &[usize], rows: &[usize]) -> Plane {
    let (pixels, _) = plane.as_chunks::<N>();
    let mut sampled = Vec::with_capacity(columns.len() * rows.len() * N);
    for &y in rows {
        let row = &pixels[y * stride..][..stride];
        for &x in columns {
            sampled.extend_from_slice(&row[x]);
        }
    }
    sampled
}

/// Centres, added up step by step as Pillow does: where one falls between two pixels, rounding decides as it does there.
fn positions(steps: Steps, size: u32) -> Vec<usize> {
    let last = size.saturating_sub(1) as usize;
    let centres = std::iter::successors(Some(steps.scale * 0.5), |at| Some(at + steps.scale));
    centres
        .skip(steps.first as usize)
        .take(steps.count as usize)
        .map(|at| (at as usize).min(last))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn centres_are_sampled() {
        let at = |size: u32, scaled: u32, first: u32, count: u32| {
            let scale = f64::from(size) / f64::from(scaled);
            positions(Steps { scale, first, count }, size)
        };
        assert_eq!(at(4, 2, 0, 2), [1, 3]);
        assert_eq!(at(2, 4, 0, 4), [0, 0, 1, 1]);
        assert_eq!(at(9, 9, 3, 3), [3, 4, 5]);
    }
}
