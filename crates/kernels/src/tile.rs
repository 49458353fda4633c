//! The register tile of a matrix product: some rows of `A` against one panel, over the whole inner dimension.

use std::{marker::PhantomData, ops::Range};

use super::{
    rows::{Rows, RowsMut},
    simd::{Elem, Kernel, Simd, Task, VECTORS, columns},
};

/// Room for any tier's register tile, f32.
const ROOM: usize = 14 * 32;

/// A register tile in memory, row after row of [`columns`].
#[repr(C, align(64))]
pub(crate) struct Tile(pub(crate) [f32; ROOM]);

impl Tile {
    /// A tile of zeros.
    pub(crate) fn new() -> Self {
        Self([0.0; ROOM])
    }

    /// The tile as the sink of a product.
    pub(crate) fn as_sink<K: Kernel>(&mut self) -> Store<'_> {
        Store(RowsMut::new(&mut self.0, columns::<K>()))
    }

    /// Vector `v` of row `row`.
    ///
    /// # Safety
    /// The CPU has the features of `K`, and the tile that row and vector.
    #[inline(always)]
    pub(crate) unsafe fn vector<K: Kernel>(&self, row: usize, v: usize) -> <K::S as Simd>::V {
        // SAFETY: the caller's contract.
        unsafe { K::S::load(self.0.as_ptr().add(row * columns::<K>() + v * K::S::LANES)) }
    }
}

/// How far ahead panels are fetched, in f32s: beyond the page that hardware prefetchers stop at. What streams from
/// memory, as all weights do for a single image, gains a tenth.
const AHEAD: usize = (8 << 10) / size_of::<f32>();

/// Zero for every column of a panel of any tier.
pub(crate) static NO_BIAS: [f32; 32] = [0.0; 32];

/// Takes the vectors of a finished tile from registers.
pub(crate) trait Sink<K: Kernel>: Copy {
    /// Takes vector `v` of row `row`.
    ///
    /// # Safety
    /// The CPU has the features of `K`; the sink has room for a whole vector there, which no other thread touches.
    unsafe fn put(self, row: usize, v: usize, x: <K::S as Simd>::V);
}

/// Overwrites f32.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Store<'a>(pub(crate) RowsMut<'a, f32>);

/// Adds to f32.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Add<'a>(pub(crate) RowsMut<'a, f32>);

/// Narrows to operands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Narrow<'a, E>(pub(crate) RowsMut<'a, E>);

impl<K: Kernel> Sink<K> for Store<'_> {
    #[inline(always)]
    unsafe fn put(self, row: usize, v: usize, x: <K::S as Simd>::V) {
        // SAFETY: the caller's contract.
        unsafe { K::S::store(self.0.row(row).add(v * K::S::LANES), x) }
    }
}

impl<K: Kernel> Sink<K> for Add<'_> {
    #[inline(always)]
    unsafe fn put(self, row: usize, v: usize, x: <K::S as Simd>::V) {
        // SAFETY: the caller's contract.
        unsafe {
            let at = self.0.row(row).add(v * K::S::LANES);
            K::S::store(at, K::S::add(K::S::load(at), x));
        }
    }
}

impl<K: Kernel> Sink<K> for Narrow<'_, K::Elem> {
    #[inline(always)]
    unsafe fn put(self, row: usize, v: usize, x: <K::S as Simd>::V) {
        // SAFETY: the caller's contract.
        unsafe { K::narrow(self.0.row(row).add(v * K::S::LANES), x) }
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

/// The operands of one tile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operands<'a, K: Kernel> {
    /// Rows of `A`, from the tile's first on.
    pub(crate) a: Rows<'a, K::Elem>,
    /// A panel.
    pub(crate) panel: *const K::Elem,
    /// Groups along the inner dimension.
    pub(crate) groups: usize,
    /// What the sums start from, one for each column.
    pub(crate) bias: *const f32,
}

/// Computes `A · panel + bias` for `height` rows into `sink`.
///
/// # Safety
/// The CPU has the features of `K`; `a` holds `height` rows of `groups` groups, the panel as many groups of each
/// column, `bias` a value for each column; the sink has room for `height` rows of [`columns`];
/// `1 <= height <= K::ROWS`.
#[inline(always)]
pub(crate) unsafe fn multiply<K: Kernel, S: Sink<K>>(height: usize, operands: Operands<'_, K>, sink: S) {
    macro_rules! by_height {
        ($($rows:literal)*) => {
            match height {
                // SAFETY: the caller's contract.
                $($rows if $rows <= K::ROWS => unsafe {
                    K::enter(Multiply::<K, S, $rows> { operands, sink, kernel: PhantomData })
                },)*
                _ => unreachable!("a tile has 1 to ROWS rows"),
            }
        };
    }
    by_height!(1 2 3 4 5 6 7 8 9 10 11 12 13 14)
}

/// The register tile with its height known to the compiler.
struct Multiply<'a, K: Kernel, S: Sink<K>, const ROWS: usize> {
    operands: Operands<'a, K>,
    sink: S,
    kernel: PhantomData<K>,
}

impl<K: Kernel, S: Sink<K>, const ROWS: usize> Task for Multiply<'_, K, S, ROWS> {
    #[inline(always)]
    fn run(self) {
        let Operands {
            a,
            mut panel,
            groups,
            bias,
        } = self.operands;
        let stride = a.stride();
        let mut a = a.row(0);
        // SAFETY: `multiply`'s contract.
        unsafe {
            let bias: [_; VECTORS] = std::array::from_fn(|v| K::S::load(bias.add(v * K::S::LANES)));
            let mut sums = [bias; ROWS];
            for _ in 0..groups {
                let right: [K::Groups; VECTORS] =
                    std::array::from_fn(|v| K::load(panel.add(v * K::S::LANES * K::Elem::GROUP)));
                for (row, sums) in sums.iter_mut().enumerate() {
                    let left = K::broadcast(a.add(row * stride));
                    for (sum, right) in sums.iter_mut().zip(right) {
                        *sum = K::dot(*sum, left, right);
                    }
                }
                a = a.add(K::Elem::GROUP);
                for v in 0..VECTORS {
                    K::S::prefetch(panel.cast::<f32>().wrapping_add(AHEAD + v * K::S::LANES));
                }
                panel = panel.add(columns::<K>() * K::Elem::GROUP);
            }
            for (row, sums) in sums.iter().enumerate() {
                for (v, sum) in sums.iter().enumerate() {
                    self.sink.put(row, v, *sum);
                }
            }
        }
    }
}
