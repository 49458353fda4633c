//! The matrix product: loops over tiles and panels, and what happens to a finished tile.

use std::ops::Range;

use super::{
    activation::Activation,
    math::activate,
    packed::{Packed, panel_size},
    pool::{Team, share},
    rows::{Rows, RowsMut},
    simd::{Elem, Kernel, Simd, Task, VECTORS, columns},
    tile::{Add, Narrow, Operands, Tile, multiply, tiles},
};

/// Bytes of panels to keep in the L2 cache while tiles of rows pass over them.
const BLOCK_BYTES: usize = 512 << 10;

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
        let size = panel_size::<K>(self.weights.inputs()) * size_of::<K::Elem>();
        let block = (BLOCK_BYTES / size.max(1)).max(1);
        let mut tile = Tile::new();
        let mut first = self.panels.start;
        while first < self.panels.end {
            let last = (first + block).min(self.panels.end);
            for rows in tiles::<K>(self.rows.clone()) {
                for panel in first..last {
                    // SAFETY: `compute`'s contract.
                    unsafe { self.tile(&mut tile, rows.clone(), panel) }
                }
            }
            first = last;
        }
    }
}

impl<K: Kernel> Product<'_, K> {
    /// One tile. Whole panels without activation go out from registers, others by way of memory.
    #[inline(always)]
    unsafe fn tile(&self, tile: &mut Tile, rows: Range<usize>, panel: usize) {
        let (column, height) = (panel * columns::<K>(), rows.len());
        let count = columns::<K>().min(self.weights.outputs() - column);
        let operands = Operands {
            a: self.a.from(rows.start, 0),
            panel: self.weights.panel(panel).as_ptr(),
            groups: self.weights.inputs().div_ceil(K::Elem::GROUP),
            bias: self.weights.bias(panel).as_ptr(),
        };
        // SAFETY: `compute`'s contract; the panel holds all groups; partial panels write only `count` columns.
        unsafe {
            match (self.output, self.activation, count == columns::<K>()) {
                (Output::Add(to), None, true) => {
                    let to = to.from(rows.start, column);
                    prefetch::<K>(to, height);
                    multiply::<K, _>(height, operands, Add(to));
                }
                (Output::Narrow(to), None, true) => {
                    multiply::<K, _>(height, operands, Narrow(to.from(rows.start, column)));
                }
                (output, activation, _) => {
                    multiply::<K, _>(height, operands, tile.as_sink::<K>());
                    if let Some(activation) = activation {
                        activate_tile::<K>(tile, height, activation);
                    }
                    finish::<K>(tile, rows.start..rows.end, column, count, output);
                }
            }
        }
    }
}

/// Brings the part of the output that a tile will be added to closer while the tile is computed.
#[inline(always)]
unsafe fn prefetch<K: Kernel>(to: RowsMut<'_, f32>, height: usize) {
    for row in 0..height {
        for v in 0..VECTORS {
            // SAFETY: the caller's features; the address is only a hint.
            unsafe { K::S::prefetch(to.row(row).wrapping_add(v * K::S::LANES)) }
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

/// Takes the first `count` columns of a tile from memory to the output.
#[inline(always)]
unsafe fn finish<K: Kernel>(tile: &Tile, rows: Range<usize>, column: usize, count: usize, output: Output<'_, K>) {
    let lanes = K::S::LANES;
    for row in 0..rows.len() {
        for v in 0..VECTORS {
            let rest = count.saturating_sub(v * lanes).min(lanes);
            if rest == 0 {
                continue;
            }
            // SAFETY: the tile holds the row; of the output only these columns are touched.
            unsafe {
                let x = tile.vector::<K>(row, v);
                match output {
                    Output::Store(to) => {
                        K::S::store_partial(to.from(rows.start + row, column + v * lanes).row(0), x, rest)
                    }
                    Output::Add(to) => {
                        let at = to.from(rows.start + row, column + v * lanes).row(0);
                        K::S::store_partial(at, K::S::add(K::S::load_partial(at, rest), x), rest);
                    }
                    Output::Narrow(to) => {
                        let at = to.from(rows.start + row, column + v * lanes).row(0);
                        K::narrow_partial(at, x, rest.next_multiple_of(K::Elem::GROUP));
                    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Tier, tier::with_kernel};

    /// Reproducible numbers of the operand format in −1..1.
    fn numbers<E: Elem>(count: usize, seed: u32) -> Vec<E> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            E::from_f32((state >> 8) as f32 / (1 << 23) as f32 - 1.0)
        };
        (0..count).map(|_| next()).collect()
    }

    /// `relu(A · Wᵀ + bias)` and `C + A · Wᵀ + bias` against sums in f64 of the very same operands, with neighbours that
    /// must stay as they were.
    fn check<K: Kernel>(rows: usize, inputs: usize, outputs: usize) {
        let (stride, room) = (inputs.next_multiple_of(K::Elem::GROUP), outputs + 5);
        let weight: Vec<f32> = numbers::<K::Elem>(outputs * inputs, 1)
            .iter()
            .map(|x| x.to_f32())
            .collect();
        let bias: Vec<f32> = numbers::<f32>(outputs, 2);
        let packed = Packed::<K>::new(&weight, outputs, inputs, Some(&bias));
        let mut a = numbers::<K::Elem>(rows * stride, 3);
        for row in a.chunks_mut(stride) {
            row[inputs..].fill(K::Elem::ZERO);
        }
        let before = numbers::<f32>(rows * room, 4);
        let run = |to: &mut [f32], add: bool| {
            let to = RowsMut::new(to, room);
            let (output, activation) = match add {
                true => (Output::Add(to), None),
                false => (Output::Store(to), Some(Activation::Relu)),
            };
            let (rows, panels) = (0..rows, 0..packed.panels());
            let product = Product {
                a: Rows::new(&a, stride),
                weights: &packed,
                rows,
                panels,
                output,
                activation,
            };
            // SAFETY: the tier runs here; both matrices hold these rows.
            unsafe { product.compute() }
        };
        let (mut added, mut stored) = (before.clone(), before.clone());
        run(&mut added, true);
        run(&mut stored, false);
        for row in 0..rows {
            for column in 0..room {
                let at = row * room + column;
                if column >= outputs {
                    assert_eq!([added[at], stored[at]], [before[at]; 2], "a neighbour was overwritten");
                    continue;
                }
                let terms = (0..inputs)
                    .map(|k| f64::from(a[row * stride + k].to_f32()) * f64::from(weight[column * inputs + k]));
                let want = terms.sum::<f64>() + f64::from(bias[column]);
                let limit = 2e-6 * (inputs as f64 + 10.0).sqrt();
                let errors = [
                    f64::from(added[at]) - (want + f64::from(before[at])),
                    f64::from(stored[at]) - want.max(0.0),
                ];
                assert!(
                    errors.iter().all(|e| e.abs() < limit),
                    "{rows}×{inputs}×{outputs} at {row},{column}: {errors:?}"
                );
            }
        }
    }

    #[test]
    fn products_match_f64_on_odd_shapes() {
        for tier in Tier::available() {
            // Rows and outputs below, at and above a tile; inner dimensions odd, tiny and longer than a page.
            for (rows, inputs, outputs) in [
                (1, 1, 1),
                (3, 7, 5),
                (14, 64, 32),
                (15, 33, 33),
                (29, 129, 70),
                (6, 16, 16),
                (13, 1500, 31),
            ] {
                with_kernel!(tier, K => check::<K>(rows, inputs, outputs));
            }
        }
    }

    #[test]
    fn members_shares_cover_a_product_once() {
        for (size, rows, panels) in [(1, 50, 24), (2, 50, 24), (4, 1000, 3), (6, 100, 7), (3, 1, 1)] {
            let mut seen = vec![0; rows * panels];
            for rank in 0..size {
                let (mine, columns) = share_product(&Team::of(rank, size), rows, panels, 14);
                for row in mine {
                    columns.clone().for_each(|panel| seen[row * panels + panel] += 1);
                }
            }
            assert!(
                seen.iter().all(|count| *count == 1),
                "{size} members, {rows} rows, {panels} panels"
            );
        }
    }
}
