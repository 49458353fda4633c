//! Large images in overlapping tiles whose seams are blended, so that memory grows with the tile and not with the image.

use tch::{Kind, Tensor};

/// Share of a tile that overlaps the next.
const OVERLAP: f64 = 0.25;

/// Applies `network` to tiles of `side` and blends what comes out. `(up, down)`: sides grow by the first and shrink by
/// the second. A tile's weight falls off linearly over the overlap, and weights are made to sum to one.
pub(super) fn in_tiles(x: &Tensor, side: i64, (up, down): (i64, i64), network: &dyn Fn(&Tensor) -> Tensor) -> Tensor {
    let size = x.size();
    let (height, width) = (size[2], size[3]);
    let overlap = (side as f64 * OVERLAP) as i64 / down * down;
    let mut sum: Option<(Tensor, Tensor)> = None;
    for (top, tall) in starts(height, side, overlap, down) {
        for (left, wide) in starts(width, side, overlap, down) {
            let tile = network(&x.narrow(2, top, tall).narrow(3, left, wide));
            let scale = |length: i64| length * up / down;
            let (total, weights) = sum.get_or_insert_with(|| {
                let options = (Kind::Float, tile.device());
                let canvas = |channels| Tensor::zeros([size[0], channels, scale(height), scale(width)], options);
                (canvas(tile.size()[1]), canvas(1))
            });
            let edge = scale(overlap);
            let rows = ramp(scale(tall), edge, top > 0, top + tall < height, &tile).unsqueeze(1);
            let columns = ramp(scale(wide), edge, left > 0, left + wide < width, &tile).unsqueeze(0);
            let weight = rows * columns;
            let place = |canvas: &Tensor| {
                canvas
                    .narrow(2, scale(top), scale(tall))
                    .narrow(3, scale(left), scale(wide))
            };
            let _ = place(total).g_add_(&(tile.to_kind(Kind::Float) * &weight));
            let _ = place(weights).g_add_(&weight);
        }
    }
    let (total, weights) = sum.expect("an image has at least one tile");
    (total / weights).to_kind(x.kind())
}

/// Where tiles begin and how long they are: all of `side`, or the whole length if that is shorter.
fn starts(length: i64, side: i64, overlap: i64, down: i64) -> Vec<(i64, i64)> {
    let side = side / down * down;
    if length <= side {
        return vec![(0, length)];
    }
    let stride = (side - overlap).max(down);
    let mut starts: Vec<i64> = (0..)
        .map(|at| at * stride)
        .take_while(|at| at + side < length)
        .collect();
    starts.push(length - side);
    starts.into_iter().map(|start| (start, side)).collect()
}

/// Weights along one side: 1 in the middle, falling where there is a neighbour.
fn ramp(length: i64, edge: i64, before: bool, after: bool, like: &Tensor) -> Tensor {
    let positions = Tensor::arange(length, (Kind::Float, like.device())) + 0.5;
    let mut weight = Tensor::ones([length], (Kind::Float, like.device()));
    let edge = edge.max(1) as f64;
    if before {
        weight = weight.minimum(&(&positions / edge));
    }
    if after {
        weight = weight.minimum(&((length as f64 - &positions) / edge));
    }
    weight.clamp(1e-3, 1.0)
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    #[test]
    fn tiles_cover_the_whole_length() {
        for (length, side, overlap, down) in [
            (64, 32, 8, 1),
            (65, 32, 8, 1),
            (33, 32, 8, 1),
            (20, 32, 8, 1),
            (200, 64, 16, 8),
        ] {
            let tiles = starts(length, side, overlap, down);
            let mut reached = 0;
            for (start, long) in &tiles {
                assert!(*start <= reached, "{length}: a gap before {start}");
                assert_eq!(start % down, 0, "{length}: {start} lies between latents");
                reached = start + long;
            }
            assert_eq!(reached, length);
        }
    }

    #[test]
    fn a_network_without_context_sees_no_seams() {
        let x = Tensor::randn([1, 4, 50, 70], (Kind::Float, Device::Cpu));
        let same = in_tiles(&x, 32, (1, 1), &|tile| tile * 3.0);
        let error = f64::try_from((same - &x * 3.0).abs().max()).expect("a number");
        assert!(error < 1e-5, "{error}");
        let doubled = in_tiles(&x, 32, (2, 1), &|tile| {
            let size = tile.size();
            tile.upsample_nearest2d([2 * size[2], 2 * size[3]], None, None)
        });
        assert_eq!(doubled.size(), [1, 4, 100, 140]);
        let halved = in_tiles(&x.narrow(3, 0, 64), 32, (1, 2), &|tile| {
            tile.avg_pool2d([2, 2], [2, 2], [0, 0], false, true, None)
        });
        assert_eq!(halved.size(), [1, 4, 25, 32]);
    }
}
