//! Attention of one head over one sequence, with the same register tile as the products.

use std::ops::Range;

use super::{
    buffer::{Arena, Carver},
    math::exp,
    packed::panel_size,
    pool::Team,
    rows::{Rows, RowsMut},
    simd::{Elem, Kernel, Simd, Task, VECTORS, columns},
    tile::{NO_BIAS, Operands, Store, Tile, multiply, tiles},
};

/// Rows of the tallest register tile.
const MOST_ROWS: usize = 14;

/// Keys and values of one head as panels, which several threads may read and, each its own part, fill.
#[derive(Debug)]
pub(crate) struct Panels<K: Kernel> {
    keys: *mut K::Elem,
    values: *mut K::Elem,
}

impl<K: Kernel> Clone for Panels<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K: Kernel> Copy for Panels<K> {}

// SAFETY: writing through it is unsafe, and asks for disjoint parts and a barrier before others read.
unsafe impl<K: Kernel> Send for Panels<K> {}
// SAFETY: as above.
unsafe impl<K: Kernel> Sync for Panels<K> {}

impl<K: Kernel> Panels<K> {
    /// Elements of the keys' and the values' panels for heads of width `dim` and sequences of up to `kv_len` keys.
    fn sizes(dim: usize, kv_len: usize) -> [usize; 2] {
        let wide = columns::<K>();
        [
            kv_len.div_ceil(wide) * panel_size::<K>(dim),
            dim.div_ceil(wide) * panel_size::<K>(kv_len),
        ]
    }

    /// Bytes to carve.
    pub(crate) fn bytes(dim: usize, kv_len: usize) -> usize {
        Self::sizes(dim, kv_len).map(Arena::size::<K::Elem>).iter().sum()
    }

    /// Takes their memory, which whoever uses them must keep.
    pub(crate) fn carve(carver: &mut Carver<'_>, dim: usize, kv_len: usize) -> Self {
        let [keys, values] = Self::sizes(dim, kv_len).map(|size| carver.take::<K::Elem>(size).as_mut_ptr());
        Self { keys, values }
    }

    /// Fills in a team member's part of them.
    ///
    /// # Safety
    /// `k` and `v` hold `kv_len` rows of `dim` columns and one group more of finite numbers; the panels were carved for
    /// that much and are there; every member does its part before any reads them.
    #[inline(always)]
    pub(crate) unsafe fn pack(self, [k, v]: [Rows<'_, K::Elem>; 2], kv_len: usize, dim: usize, team: &Team<'_>) {
        let groups = kv_len.div_ceil(K::Elem::GROUP);
        // SAFETY: the caller's contract; shares don't overlap.
        unsafe {
            pack_keys::<K>(k, team.share(kv_len), dim, self.keys);
            pack_values::<K>(v, team.share(groups), kv_len, dim, self.values);
        }
    }
}

/// One head of one sequence: `softmax(q·kᵀ · scale) · v`.
pub(crate) struct Head<'a, 's, K: Kernel> {
    /// The sequence's queries, from this head's first column on.
    pub(crate) q: Rows<'a, K::Elem>,
    /// Keys and values likewise; `None`: the panels hold them.
    pub(crate) kv: Option<[Rows<'a, K::Elem>; 2]>,
    /// Where the result goes, from this head's first column on.
    pub(crate) out: RowsMut<'a, K::Elem>,
    /// Queries.
    pub(crate) q_len: usize,
    /// Keys and values.
    pub(crate) kv_len: usize,
    /// Width of the head.
    pub(crate) dim: usize,
    /// Whether a query sees no later key; the last query is aligned with the last key.
    pub(crate) causal: bool,
    /// Room to work in.
    pub(crate) scratch: &'s mut HeadScratch<'a, K>,
}

/// Memory for one head at a time: its panels, and what the queries of one tile need.
pub(crate) struct HeadScratch<'a, K: Kernel> {
    panels: Panels<K>,
    scores: &'a mut [f32],
    weights: &'a mut [K::Elem],
}

impl<'a, K: Kernel> HeadScratch<'a, K> {
    /// Elements of scores, and of weights, for sequences of up to `kv_len` keys.
    fn size(kv_len: usize) -> usize {
        K::ROWS * kv_len.next_multiple_of(columns::<K>())
    }

    /// Bytes to carve for heads of width `dim` with panels of their own.
    pub(crate) fn bytes(dim: usize, kv_len: usize) -> usize {
        Panels::<K>::bytes(dim, kv_len) + Self::bytes_beside(kv_len)
    }

    /// Bytes to carve beside panels that are elsewhere.
    pub(crate) fn bytes_beside(kv_len: usize) -> usize {
        let size = Self::size(kv_len);
        Arena::size::<f32>(size) + Arena::size::<K::Elem>(size)
    }

    /// Takes all parts.
    pub(crate) fn carve(carver: &mut Carver<'a>, dim: usize, kv_len: usize) -> Self {
        let panels = Panels::carve(carver, dim, kv_len);
        Self::beside(panels, carver, kv_len)
    }

    /// Takes what there must be beside `panels`.
    pub(crate) fn beside(panels: Panels<K>, carver: &mut Carver<'a>, kv_len: usize) -> Self {
        let size = Self::size(kv_len);
        Self {
            panels,
            scores: carver.take(size),
            weights: carver.take(size),
        }
    }
}

impl<K: Kernel> Head<'_, '_, K> {
    /// Computes the head.
    ///
    /// # Safety
    /// The CPU has the features of `K`; the matrices hold the sequence's rows at `dim` columns and one group more
    /// (finite numbers); the scratch was carved for this `dim` and at least `kv_len`, and its memory is there. Its panels
    /// are filled, or there are `kv` and no other thread touches them; nor does one this part of the output.
    pub(crate) unsafe fn compute(self) {
        let size = HeadScratch::<K>::size(self.kv_len);
        assert!(
            self.scratch.scores.len() >= size && self.scratch.weights.len() >= size,
            "scratch too small"
        );
        // SAFETY: the caller's contract.
        unsafe { K::enter(self) }
    }

    /// Keys that query `row` sees.
    #[inline(always)]
    fn seen(&self, row: usize) -> usize {
        match self.causal {
            true => (row + 1 + self.kv_len).saturating_sub(self.q_len).clamp(1, self.kv_len),
            false => self.kv_len,
        }
    }
}

impl<K: Kernel> Task for Head<'_, '_, K> {
    #[inline(always)]
    fn run(mut self) {
        let mut tile = Tile::new();
        // SAFETY: `compute`'s contract; panels, scores and weights were sized for `dim` and `kv_len`.
        unsafe {
            if let Some(kv) = self.kv {
                self.scratch.panels.pack(kv, self.kv_len, self.dim, &Team::alone());
            }
            for rows in tiles::<K>(0..self.q_len) {
                let most = self.seen(rows.end - 1);
                self.scores(&rows, most);
                let inverse = self.weights(&rows, most);
                self.values(&rows, most, &inverse, &mut tile);
            }
        }
    }
}

/// The steps for the queries of one tile; the last of them sees `most` keys.
impl<K: Kernel> Head<'_, '_, K> {
    /// Elements from one row of scores or weights to the next.
    #[inline(always)]
    fn stride(&self) -> usize {
        self.kv_len.next_multiple_of(columns::<K>())
    }

    /// `q·kᵀ`.
    #[inline(always)]
    unsafe fn scores(&mut self, rows: &Range<usize>, most: usize) {
        let scores = RowsMut::new(self.scratch.scores, self.stride());
        for panel in 0..most.div_ceil(columns::<K>()) {
            let operands = Operands {
                a: self.q.from(rows.start, 0),
                panel: self.scratch.panels.keys.wrapping_add(panel * panel_size::<K>(self.dim)),
                groups: self.dim.div_ceil(K::Elem::GROUP),
                bias: NO_BIAS.as_ptr(),
            };
            // SAFETY: `compute`'s contract; a row of scores holds whole panels.
            unsafe { multiply::<K, _>(rows.len(), operands, Store(scores.from(0, panel * columns::<K>()))) }
        }
    }

    /// Scores to weights that still lack a factor, which is returned for each row.
    #[inline(always)]
    unsafe fn weights(&mut self, rows: &Range<usize>, most: usize) -> [f32; MOST_ROWS] {
        let mut inverse = [0.0f32; MOST_ROWS];
        let scale = 1.0 / (self.dim as f32).sqrt();
        let stride = self.stride();
        let seen: [usize; MOST_ROWS] = std::array::from_fn(|index| self.seen(rows.start + index));
        let (scores, weights) = (
            Rows::new(self.scratch.scores, stride),
            RowsMut::new(self.scratch.weights, stride),
        );
        for index in 0..rows.len() {
            // SAFETY: rows of scores and weights are whole panels, which are whole vectors.
            inverse[index] = unsafe { softmax::<K>(scores.row(index), weights.row(index), seen[index], most, scale) };
        }
        inverse
    }

    /// `weights · v`, with the missing factors.
    #[inline(always)]
    unsafe fn values(&self, rows: &Range<usize>, most: usize, inverse: &[f32; MOST_ROWS], tile: &mut Tile) {
        let size = panel_size::<K>(self.kv_len);
        for panel in 0..self.dim.div_ceil(columns::<K>()) {
            let operands = Operands {
                a: Rows::new(&*self.scratch.weights, self.stride()),
                panel: self.scratch.panels.values.wrapping_add(panel * size),
                groups: most.div_ceil(K::Elem::GROUP),
                bias: NO_BIAS.as_ptr(),
            };
            let column = panel * columns::<K>();
            let count = columns::<K>().min(self.dim - column);
            // SAFETY: `compute`'s contract; weights are zero up to a whole group behind the last key seen.
            unsafe {
                multiply::<K, _>(rows.len(), operands, tile.as_sink::<K>());
                write_scaled::<K>(tile, &inverse[..rows.len()], self.out.from(rows.start, column), count);
            }
        }
    }
}

/// Lays some keys out as panels: column = key, inner dimension = head. Groups move as a whole, as four bytes.
#[inline(always)]
unsafe fn pack_keys<K: Kernel>(k: Rows<'_, K::Elem>, keys: Range<usize>, dim: usize, to: *mut K::Elem) {
    let group = K::Elem::GROUP;
    let wide = columns::<K>();
    let size = panel_size::<K>(dim);
    for key in keys {
        let from = k.row(key).cast::<u32>();
        let panel = to.wrapping_add(key / wide * size).cast::<u32>();
        // SAFETY: `pack`'s contract: whole groups of the row can be read, and the panel has room for all keys.
        unsafe {
            for index in 0..dim / group {
                panel
                    .add(index * wide + key % wide)
                    .write_unaligned(from.add(index).read_unaligned());
            }
            if !dim.is_multiple_of(group) {
                // What lies behind the head belongs to another; it must meet a zero.
                let last = panel.add(dim / group * wide + key % wide).cast::<K::Elem>();
                for place in 0..group {
                    let at = dim / group * group + place;
                    *last.add(place) = if at < dim { *k.row(key).add(at) } else { K::Elem::ZERO };
                }
            }
        }
    }
}

/// Lays values out as panels, some groups of keys of each: column = head, inner dimension = key. Keys past the last are
/// zeros.
#[inline(always)]
unsafe fn pack_values<K: Kernel>(
    v: Rows<'_, K::Elem>,
    groups: Range<usize>,
    kv_len: usize,
    dim: usize,
    to: *mut K::Elem,
) {
    let group = K::Elem::GROUP;
    let wide = columns::<K>();
    let size = panel_size::<K>(kv_len);
    for panel in 0..dim.div_ceil(wide) {
        let count = wide.min(dim - panel * wide);
        for index in groups.clone() {
            let to = to.wrapping_add(panel * size + index * wide * group);
            // SAFETY: `pack`'s contract: the panel has room for all groups, and this one is nobody else's.
            let to = unsafe { std::slice::from_raw_parts_mut(to, count * group) };
            let key = index * group;
            // SAFETY: `pack`'s contract: a row of keys that exist holds `dim` columns.
            let row = |key: usize| unsafe { std::slice::from_raw_parts(v.row(key).add(panel * wide), count) };
            if group == 1 {
                to.copy_from_slice(row(key));
            } else if key + 1 < kv_len {
                interleave(row(key), row(key + 1), to);
            } else {
                interleave(row(key), &[K::Elem::ZERO; 32][..count], to);
            }
        }
    }
}

/// `to = [a0, b0, a1, b1, …]`, a loop that compilers turn into shuffles.
#[inline(always)]
fn interleave<E: Elem>(a: &[E], b: &[E], to: &mut [E]) {
    for ((to, a), b) in to.chunks_exact_mut(2).zip(a).zip(b) {
        to[0] = *a;
        to[1] = *b;
    }
}

/// `weights = exp((scores − max) · scale)` over the first `seen`, zeros up to `most` and a whole vector; returns the
/// inverse of their sum.
#[inline(always)]
unsafe fn softmax<K: Kernel>(scores: *const f32, weights: *mut K::Elem, seen: usize, most: usize, scale: f32) -> f32 {
    let lanes = K::S::LANES;
    let (whole, rest) = (seen / lanes * lanes, seen % lanes);
    // SAFETY: both rows have room for `most` rounded up to a whole vector.
    unsafe {
        let mut largest = K::S::splat(f32::NEG_INFINITY);
        for at in (0..whole).step_by(lanes) {
            largest = K::S::max(largest, K::S::load(scores.add(at)));
        }
        if rest > 0 {
            largest = K::S::max(largest, K::S::load_partial_or(scores.add(whole), rest, largest));
        }
        let (scale, max) = (K::S::splat(scale), K::S::splat(K::S::largest(largest)));
        let mut sum = K::S::splat(0.0);
        for at in (0..whole).step_by(lanes) {
            let x = exp::<K::S>(K::S::mul(K::S::sub(K::S::load(scores.add(at)), max), scale));
            sum = K::S::add(sum, x);
            K::narrow(weights.add(at), x);
        }
        let mut end = whole;
        if rest > 0 {
            let x = exp::<K::S>(K::S::mul(K::S::sub(K::S::load(scores.add(whole)), max), scale));
            let x = K::S::keep(x, rest);
            sum = K::S::add(sum, x);
            K::narrow(weights.add(whole), x);
            end += lanes;
        }
        for at in (end..most.next_multiple_of(lanes)).step_by(lanes) {
            K::narrow(weights.add(at), K::S::splat(0.0));
        }
        1.0 / K::S::sum(sum)
    }
}

/// Scales the rows of a tile and narrows the first `count` columns to the output.
#[inline(always)]
unsafe fn write_scaled<K: Kernel>(tile: &Tile, factors: &[f32], to: RowsMut<'_, K::Elem>, count: usize) {
    let lanes = K::S::LANES;
    for (row, factor) in factors.iter().enumerate() {
        for v in 0..VECTORS {
            let rest = count.saturating_sub(v * lanes).min(lanes);
            if rest == 0 {
                continue;
            }
            // SAFETY: the tile holds the row; of the output only the first `count` columns are touched.
            unsafe {
                let x = tile.vector::<K>(row, v);
                K::narrow_partial(to.row(row).add(v * lanes), K::S::mul(x, K::S::splat(*factor)), rest);
            }
        }
    }
}
