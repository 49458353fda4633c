//! How long the vectors can be that a linear map makes.

/// Rounds of the power iteration: with `n` rows it finds at least `n^(-1/2r)` of the largest stretch, which is more than
/// 0.6 for any width that models have.
const ROUNDS: usize = 8;

/// What makes up for what the iteration may lack.
const MARGIN: f32 = 1.7;

/// Lanes of a dot product, so that compilers use vectors.
const LANES: usize = 16;

/// About the most by which `matrix` (rows of `width`) stretches a vector, and not less.
///
/// The largest singular value by power iteration, times a margin.
pub(super) fn most_stretch(matrix: &[f32], width: usize) -> f32 {
    let mut direction: Vec<f32> = (0..width)
        .map(|index| if index % 3 == 0 { 1.0 } else { -0.6 } + wobble(index))
        .collect();
    let mut stretch = 0.0;
    for _ in 0..ROUNDS {
        let length = norm(&direction);
        if length == 0.0 {
            break;
        }
        direction.iter_mut().for_each(|x| *x /= length);
        let image: Vec<f32> = matrix.chunks_exact(width).map(|row| dot(row, &direction)).collect();
        stretch = norm(&image);
        direction.fill(0.0);
        for (row, factor) in matrix.chunks_exact(width).zip(&image) {
            direction.iter_mut().zip(row).for_each(|(x, w)| *x += w * factor);
        }
    }
    stretch * MARGIN
}

/// Euclidean length.
pub(super) fn norm(x: &[f32]) -> f32 {
    dot(x, x).sqrt()
}

/// Something that no row of weights happens to be at right angles to.
fn wobble(index: usize) -> f32 {
    ((index as u32).wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 24) as f32
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretch_is_found_and_not_missed() {
        let (rows, width) = (40, 70);
        let mut matrix: Vec<f32> = (0..rows * width).map(|index| wobble(index) - 0.5).collect();
        // One direction far above the rest: uvᵀ with |u| = |v| = 1 has a stretch of 1.
        for (index, x) in matrix.iter_mut().enumerate() {
            *x = *x * 0.01 + 30.0 / ((rows * width) as f32).sqrt() * if index % width % 2 == 0 { 1.0 } else { -1.0 };
        }
        let found = most_stretch(&matrix, width);
        assert!((29.0 * MARGIN..31.0 * MARGIN).contains(&found), "{found}");
        assert_eq!(most_stretch(&[0.0; 6], 3), 0.0);
    }
}
