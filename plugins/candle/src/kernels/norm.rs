//! Layer normalisation of rows, straight into the operand of the next product.

use std::{marker::PhantomData, ops::Range};

use super::{
    rows::{Rows, RowsMut},
    simd::{Elem, Kernel, Simd, Task},
};

/// Scale, shift and epsilon of a layer norm.
#[derive(Clone, Debug)]
pub(crate) struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    eps: f32,
}

impl Norm {
    /// # Panics
    /// When weight and bias differ in length.
    pub(crate) fn new(weight: Vec<f32>, bias: Vec<f32>, eps: f32) -> Self {
        assert_eq!(weight.len(), bias.len(), "a norm's weight and bias are equally long");
        Self { weight, bias, eps }
    }

    /// Values of a row.
    pub(crate) fn width(&self) -> usize {
        self.weight.len()
    }
}

/// Normalises rows of `x`.
#[derive(Debug)]
pub(crate) struct Normalise<'a, K: Kernel> {
    /// The norm; without one, rows are only narrowed.
    pub(crate) norm: Option<&'a Norm>,
    /// Values of a row.
    pub(crate) width: usize,
    /// What is normalised.
    pub(crate) x: Rows<'a, f32>,
    /// Which rows.
    pub(crate) rows: Range<usize>,
    /// Where the result goes as f32; may be `x` itself.
    pub(crate) wide: Option<RowsMut<'a, f32>>,
    /// Where the result goes as an operand, its row filled with zeros up to a whole group.
    pub(crate) narrow: Option<RowsMut<'a, K::Elem>>,
    /// The tier.
    pub(crate) kernel: PhantomData<K>,
}

impl<K: Kernel> Normalise<'_, K> {
    /// Computes these rows.
    ///
    /// # Safety
    /// The CPU has the features of `K`; the matrices hold these rows at `width`; no other thread touches these rows
    /// of the outputs meanwhile.
    pub(crate) unsafe fn compute(self) {
        if let Some(norm) = self.norm {
            assert_eq!(norm.width(), self.width, "the norm is as wide as its rows");
        }
        // SAFETY: the caller's contract.
        unsafe { K::enter(self) }
    }
}

impl<K: Kernel> Task for Normalise<'_, K> {
    #[inline(always)]
    fn run(self) {
        for row in self.rows.clone() {
            // SAFETY: `compute`'s contract.
            unsafe {
                let (shift, scale) = match self.norm {
                    Some(norm) => moments::<K::S>(self.x.row(row), self.width, norm.eps),
                    None => (0.0, 1.0),
                };
                self.write_row(row, shift, scale);
            }
        }
    }
}

impl<K: Kernel> Normalise<'_, K> {
    #[inline(always)]
    unsafe fn write_row(&self, row: usize, shift: f32, scale: f32) {
        let lanes = K::S::LANES;
        let x = self.x.row(row);
        // SAFETY: `compute`'s contract; `count` keeps within the row.
        unsafe {
            let (shift, scale) = (K::S::splat(shift), K::S::splat(scale));
            for at in (0..self.width).step_by(lanes) {
                let count = lanes.min(self.width - at);
                let mut y = K::S::load_partial(x.add(at), count);
                if let Some(norm) = self.norm {
                    let weight = K::S::load_partial(norm.weight.as_ptr().add(at), count);
                    let bias = K::S::load_partial(norm.bias.as_ptr().add(at), count);
                    y = K::S::fma(K::S::mul(K::S::sub(y, shift), scale), weight, bias);
                }
                if let Some(wide) = self.wide {
                    K::S::store_partial(wide.row(row).add(at), y, count);
                }
                if let Some(narrow) = self.narrow {
                    // Lanes past `count` are zero.
                    let count = count.next_multiple_of(K::Elem::GROUP);
                    K::narrow_partial(narrow.row(row).add(at), y, count);
                }
            }
        }
    }
}

/// The mean of a row and the inverse of its standard deviation, in two passes.
#[inline(always)]
unsafe fn moments<S: Simd>(x: *const f32, width: usize, eps: f32) -> (f32, f32) {
    let lanes = S::LANES;
    // SAFETY: the row holds `width` values; partial loads stay within it.
    unsafe {
        let mut sums = [S::splat(0.0); 4];
        for (step, at) in (0..width).step_by(lanes).enumerate() {
            sums[step % 4] = S::add(sums[step % 4], S::load_partial(x.add(at), lanes.min(width - at)));
        }
        let mean = S::sum(S::add(S::add(sums[0], sums[1]), S::add(sums[2], sums[3]))) / width as f32;
        let shift = S::splat(mean);
        let mut squares = [S::splat(0.0); 4];
        let whole = width / lanes * lanes;
        for (step, at) in (0..whole).step_by(lanes).enumerate() {
            let d = S::sub(S::load(x.add(at)), shift);
            squares[step % 4] = S::fma(d, d, squares[step % 4]);
        }
        let mut total = S::sum(S::add(S::add(squares[0], squares[1]), S::add(squares[2], squares[3])));
        for at in whole..width {
            total += (*x.add(at) - mean) * (*x.add(at) - mean);
        }
        (mean, 1.0 / (total / width as f32 + eps).sqrt())
    }
}
