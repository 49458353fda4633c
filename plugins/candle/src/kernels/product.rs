//! The matrix product: register tile, loops over tiles and panels, and what happens to a finished tile.

use std::{marker::PhantomData, ops::Range};

use super::{
    activation::Activation,
    math::activate,
    packed::{Packed, panel_size},
    pool::{Team, share},
    rows::{Rows, RowsMut},
    simd::{Elem, Kernel, Simd, Task, VECTORS, columns},
};

/// Bytes of panels to keep in the L2 cache while tiles of rows pass over them.
const BLOCK_BYTES: usize = 512 << 10;

/// Room for any tier's register tile, f32.
pub(crate) const TILE: usize = 14 * 32;

/// A register tile in memory.
#[repr(C, align(64))]
pub(crate) struct Tile(pub(crate) [f32; TILE]);

/// Where a product goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Output<'a, K: Kernel> {
    /// Overwrites f32.
    Store(RowsMut<'a, f32>),
    /// Is added to f32: the residual stream.
    Add(RowsMut<'a, f32>),
    /// Becomes the operand of a further product; its row is filled with zeros up to a whole group.
    Narrow(RowsMut<'a, K::Elem>),
}

/// A part of `activation(A · Wᵀ + bias)`: some rows and some panels.
#[derive(Debug)]
pub(crate) struct Product<'a, K: Kernel> {
    /// `A`: each row holds the weights' inputs, filled up to a whole group with finite numbers.
    pub(crate) a: Rows<'a, K::Elem>,
    /// `W` and the bias.
    pub(crate) weights: &'a Packed<K>,
    /// Rows of `A` and of the output.
    pub(crate) rows: Range<usize>,
    /// Panels of `W`.
    pub(crate) panels: Range<usize>,
    /// Where it goes.
    pub(crate) output: Output<'a, K>,
    /// What is applied before it goes there.
    pub(crate) activation: Option<Activation>,
}

impl<K: Kernel> Product<'_, K> {
    /// Computes the part.
    ///
    /// # Safety
    /// The CPU has the features of `K`; `a` and the output hold these rows at the weights' widths; no other thread
    /// touches this part of the output meanwhile.
    pub(crate) unsafe fn compute(self) {
        assert!(self.panels.end <= self.weights.panels(), "panels beyond the weights");
        // SAFETY: the caller's contract.
        unsafe { K::enter(self) }
    }
}

impl<K: Kernel> Task for Product<'_, K> {
    #[inline(always)]
    fn run(self) {
        let groups = self.weights.inputs().div_ceil(K::Elem::GROUP);
        let block = (BLOCK_BYTES / (panel_size::<K>(self.weights.inputs()) * size_of::<K::Elem>()).max(1)).max(1);
        let mut tile = Tile([0.0; TILE]);
        let mut first = self.panels.start;
        while first < self.panels.end {
            let last = (first + block).min(self.panels.end);
            for rows in tiles::<K>(self.rows.clone()) {
                for panel in first..last {
                    let b = self.weights.panel(panel).as_ptr();
                    // SAFETY: `compute`'s contract covers A; the panel holds all groups; the tile has room.
                    unsafe {
                        let to = tile.0.as_mut_ptr();
                        multiply::<K>(rows.len(), self.a.from(rows.start, 0), b, groups, to, columns::<K>());
                        self.finish(&mut tile, &rows, panel);
                    }
                }
            }
            first = last;
        }
    }
}

impl<K: Kernel> Product<'_, K> {
    /// Bias, activation and output of a finished tile.
    #[inline(always)]
    unsafe fn finish(&self, tile: &mut Tile, rows: &Range<usize>, panel: usize) {
        let column = panel * columns::<K>();
        let bias = self.weights.bias(panel).as_ptr();
        let count = columns::<K>().min(self.weights.outputs() - column);
        // SAFETY: the tile holds rows.len() rows; `compute`'s contract covers the output; `count` keeps within it.
        unsafe {
            add_bias::<K>(tile, rows.len(), bias);
            if let Some(activation) = self.activation {
                activate_tile::<K>(tile, rows.len(), activation);
            }
            match self.output {
                Output::Store(to) => write::<K>(tile, rows.len(), to.from(rows.start, column), count, |_, new| new),
                Output::Add(to) => write::<K>(tile, rows.len(), to.from(rows.start, column), count, |old, new| {
                    K::S::add(old, new)
                }),
                Output::Narrow(to) => {
                    let count = count.next_multiple_of(K::Elem::GROUP);
                    narrow::<K>(tile, rows.len(), to.from(rows.start, column), count)
                }
            }
        }
    }
}

/// Splits rows into tiles of nearly equal height, none above the register tile's.
pub(crate) fn tiles<K: Kernel>(rows: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let count = rows.len().div_ceil(K::ROWS);
    let (height, taller) = (rows.len() / count.max(1), rows.len() % count.max(1));
    (0..count).map(move |index| {
        let start = rows.start + index * height + index.min(taller);
        start..start + height + usize::from(index < taller)
    })
}

/// `tile = A · panel` for `height` rows, written to `to` with `stride` between rows.
///
/// # Safety
/// The CPU has the features of `K`; `a` holds `height` rows of `groups` groups, `b` as many groups of a panel; `to`
/// has room for `height` rows of [`columns`]; `1 <= height <= K::ROWS`.
#[inline(always)]
pub(crate) unsafe fn multiply<K: Kernel>(
    height: usize,
    a: Rows<'_, K::Elem>,
    b: *const K::Elem,
    groups: usize,
    to: *mut f32,
    stride: usize,
) {
    macro_rules! by_height {
        ($($rows:literal)*) => {
            match height {
                $($rows if $rows <= K::ROWS => {
                    // SAFETY: the caller's contract.
                    unsafe { K::enter(Multiply::<K, $rows> { a: a.row(0), a_stride: a.stride(), b, groups, to, stride,
                        kernel: PhantomData }) }
                })*
                _ => unreachable!("a tile has at most ROWS rows"),
            }
        };
    }
    by_height!(1 2 3 4 5 6 7 8 9 10 11 12 13 14)
}

/// The register tile with its height known to the compiler.
struct Multiply<K: Kernel, const ROWS: usize> {
    a: *const K::Elem,
    a_stride: usize,
    b: *const K::Elem,
    groups: usize,
    to: *mut f32,
    stride: usize,
    kernel: PhantomData<K>,
}

impl<K: Kernel, const ROWS: usize> Task for Multiply<K, ROWS> {
    #[inline(always)]
    fn run(self) {
        let (mut a, mut b) = (self.a, self.b);
        // SAFETY: `multiply`'s contract: A holds ROWS rows and B a panel of `groups` groups, the output has room.
        unsafe {
            let mut sums = [[K::S::splat(0.0); VECTORS]; ROWS];
            for _ in 0..self.groups {
                let right: [K::Groups; VECTORS] =
                    std::array::from_fn(|v| K::load(b.add(v * K::S::LANES * K::Elem::GROUP)));
                for (row, sums) in sums.iter_mut().enumerate() {
                    let left = K::broadcast(a.add(row * self.a_stride));
                    for (sum, right) in sums.iter_mut().zip(right) {
                        *sum = K::dot(*sum, left, right);
                    }
                }
                a = a.add(K::Elem::GROUP);
                b = b.add(columns::<K>() * K::Elem::GROUP);
            }
            for (row, sums) in sums.iter().enumerate() {
                for (v, sum) in sums.iter().enumerate() {
                    K::S::store(self.to.add(row * self.stride + v * K::S::LANES), *sum);
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn add_bias<K: Kernel>(tile: &mut Tile, height: usize, bias: *const f32) {
    // SAFETY: a tile of `height` rows, a bias for every column.
    unsafe {
        for v in 0..VECTORS {
            let bias = K::S::load(bias.add(v * K::S::LANES));
            for row in 0..height {
                let at = tile.0.as_mut_ptr().add(row * columns::<K>() + v * K::S::LANES);
                K::S::store(at, K::S::add(K::S::load(at), bias));
            }
        }
    }
}

#[inline(always)]
unsafe fn activate_tile<K: Kernel>(tile: &mut Tile, height: usize, activation: Activation) {
    macro_rules! each {
        ($($name:ident)*) => {
            match activation {
                $(Activation::$name => for at in (0..height * columns::<K>()).step_by(K::S::LANES) {
                    // SAFETY: within a tile of `height` rows.
                    unsafe {
                        let at = tile.0.as_mut_ptr().add(at);
                        K::S::store(at, activate::<K::S>(Activation::$name, K::S::load(at)));
                    }
                })*
            }
        };
    }
    each!(QuickGelu Gelu GeluTanh Relu Silu)
}

/// Writes the first `count` columns of a tile, each combined with what was there.
#[inline(always)]
unsafe fn write<K: Kernel>(
    tile: &Tile,
    height: usize,
    to: RowsMut<'_, f32>,
    count: usize,
    combine: impl Fn(<K::S as Simd>::V, <K::S as Simd>::V) -> <K::S as Simd>::V,
) {
    let lanes = K::S::LANES;
    for row in 0..height {
        for v in 0..VECTORS {
            let rest = count.saturating_sub(v * lanes).min(lanes);
            // SAFETY: the tile holds the row; of the output only the first `count` columns are touched.
            unsafe {
                let new = K::S::load(tile.0.as_ptr().add(row * columns::<K>() + v * lanes));
                let at = to.row(row).wrapping_add(v * lanes);
                if rest == lanes {
                    K::S::store(at, combine(K::S::load(at), new));
                } else if rest > 0 {
                    K::S::store_partial(at, combine(K::S::load_partial(at, rest), new), rest);
                }
            }
        }
    }
}

/// Narrows and writes the first `count` columns of a tile.
#[inline(always)]
unsafe fn narrow<K: Kernel>(tile: &Tile, height: usize, to: RowsMut<'_, K::Elem>, count: usize) {
    let lanes = K::S::LANES;
    for row in 0..height {
        for v in 0..VECTORS {
            let rest = count.saturating_sub(v * lanes).min(lanes);
            // SAFETY: as in `write`.
            unsafe {
                let new = K::S::load(tile.0.as_ptr().add(row * columns::<K>() + v * lanes));
                let at = to.row(row).wrapping_add(v * lanes);
                if rest == lanes {
                    K::narrow(at, new);
                } else if rest > 0 {
                    K::narrow_partial(at, new, rest);
                }
            }
        }
    }
}

/// A member's rows and panels: the grid of row and column cuts with the smallest largest part.
pub(crate) fn share_product(
    team: &Team<'_>,
    rows: usize,
    panels: usize,
    height: usize,
) -> (Range<usize>, Range<usize>) {
    let tiles = rows.div_ceil(height);
    let cost = |cuts: usize| tiles.div_ceil(cuts) * panels.div_ceil(team.size / cuts);
    let cuts = (1..=team.size)
        .filter(|cuts| team.size.is_multiple_of(*cuts))
        .min_by_key(|cuts| cost(*cuts));
    let cuts = cuts.unwrap_or(1);
    let (row, column) = (team.rank % cuts, team.rank / cuts);
    (share(rows, row, cuts), share(panels, column, team.size / cuts))
}
