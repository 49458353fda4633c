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
        let whole = self.width / lanes * lanes;
        let x = self.x.row(row);
        // SAFETY: `compute`'s contract; the last vector keeps within the row.
        unsafe {
            let (shift, scale) = (K::S::splat(shift), K::S::splat(scale));
            for at in (0..whole).step_by(lanes) {
                let mut y = K::S::load(x.add(at));
                if let Some(norm) = self.norm {
                    let (weight, bias) = (norm.weight.as_ptr().add(at), norm.bias.as_ptr().add(at));
                    y = K::S::fma(
                        K::S::mul(K::S::sub(y, shift), scale),
                        K::S::load(weight),
                        K::S::load(bias),
                    );
                }
                if let Some(wide) = self.wide {
                    K::S::store(wide.row(row).add(at), y);
                }
                if let Some(narrow) = self.narrow {
                    K::narrow(narrow.row(row).add(at), y);
                }
            }
            if whole < self.width {
                self.write_tail(row, whole, shift, scale);
            }
        }
    }

    /// The last values of a row, too few for a vector.
    #[inline(always)]
    unsafe fn write_tail(&self, row: usize, at: usize, shift: <K::S as Simd>::V, scale: <K::S as Simd>::V) {
        let count = self.width - at;
        // SAFETY: as in `write_row`.
        unsafe {
            let mut y = K::S::load_partial(self.x.row(row).add(at), count);
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
                K::narrow_partial(narrow.row(row).add(at), y, count.next_multiple_of(K::Elem::GROUP));
            }
        }
    }
}

/// The mean of a row and the inverse of its standard deviation, in two passes.
#[inline(always)]
unsafe fn moments<S: Simd>(x: *const f32, width: usize, eps: f32) -> (f32, f32) {
    // SAFETY: the row holds `width` values.
    unsafe {
        let mean = sum_of::<S>(x, width, S::splat(0.0), |sum, x, _| S::add(sum, x)) / width as f32;
        let squares = sum_of::<S>(x, width, S::splat(mean), |sum, x, shift| {
            let centred = S::sub(x, shift);
            S::fma(centred, centred, sum)
        });
        (mean, 1.0 / (squares / width as f32 + eps).sqrt())
    }
}

/// Sums over a row in four independent chains. Lanes behind the end count as `neutral`, which `step` also receives.
#[inline(always)]
unsafe fn sum_of<S: Simd>(x: *const f32, width: usize, neutral: S::V, step: impl Fn(S::V, S::V, S::V) -> S::V) -> f32 {
    let lanes = S::LANES;
    // SAFETY: the row holds `width` values; loads keep within it.
    unsafe {
        let mut sums = [S::splat(0.0); 4];
        let mut at = 0;
        while at + 4 * lanes <= width {
            for (chain, sum) in sums.iter_mut().enumerate() {
                *sum = step(*sum, S::load(x.add(at + chain * lanes)), neutral);
            }
            at += 4 * lanes;
        }
        while at < width {
            let count = lanes.min(width - at);
            sums[0] = step(sums[0], S::load_partial_or(x.add(at), count, neutral), neutral);
            at += lanes;
        }
        S::sum(S::add(S::add(sums[0], sums[1]), S::add(sums[2], sums[3])))
    }
}
