//! Single layers outside a stack: a linear map, a norm, and attention between any rows.

use std::{any::TypeId, marker::PhantomData};

use super::{
    attention::{Head, HeadScratch, Panels},
    buffer::Arena,
    layers::AttentionRows,
    norm::{Norm, Normalise},
    packed::Packed,
    pool::{Pool, Team},
    product::{Output, Product, share_product},
    rows::{Rows, RowsMut},
    simd::{Elem, Kernel},
};

/// Heads for each thread from which on it gets whole ones.
const WHOLE_HEADS: usize = 4;

/// `x · Wᵀ + b` for rows of `weights.inputs()`; writes rows of `weights.outputs()` to `out`.
///
/// # Safety
/// The CPU has the features of `K`.
///
/// # Panics
/// When `x` is not whole rows, or `out` not as many.
pub(crate) unsafe fn linear<K: Kernel>(weights: &Packed<K>, x: &[f32], out: &mut [f32], pool: &Pool) {
    let (inputs, outputs) = (weights.inputs(), weights.outputs());
    assert!(inputs > 0 && x.len().is_multiple_of(inputs), "x must be whole rows");
    let rows = x.len() / inputs;
    assert_eq!(out.len(), rows * outputs, "out must have as many rows as x");
    let to = RowsMut::new(out, outputs);
    if let Some(a) = as_operands::<K::Elem>(x) {
        let a = Rows::new(a, inputs);
        // SAFETY: the caller's contract.
        pool.run(|member| unsafe { share_linear(weights, a, rows, to, &member.team) });
        return;
    }
    let stride = inputs.next_multiple_of(K::Elem::GROUP);
    let mut shared = pool.shared();
    let operand = shared
        .carve(Arena::size::<K::Elem>(rows * stride))
        .take::<K::Elem>(rows * stride);
    let operand = RowsMut::new(operand, stride);
    pool.run(|member| {
        // SAFETY: the CPU's features are the caller's word; members keep to their shares between barriers.
        unsafe {
            narrow_rows(x, inputs, member.team.share(rows), operand);
            member.team.wait();
            share_linear(weights, operand.as_rows(), rows, to, &member.team);
        }
    });
}

/// A member's share of a linear map.
///
/// # Safety
/// As for [`Product::compute`], of all `rows`.
unsafe fn share_linear<K: Kernel>(
    weights: &Packed<K>,
    a: Rows<'_, K::Elem>,
    rows: usize,
    to: RowsMut<'_, f32>,
    team: &Team<'_>,
) {
    let (rows, panels) = share_product(team, rows, weights.panels(), K::ROWS);
    let product = Product {
        a,
        weights,
        rows,
        panels,
        output: Output::Store(to),
        activation: None,
    };
    // SAFETY: the caller's contract; shares do not overlap.
    unsafe { product.compute() }
}

/// The same numbers as operands, where operands are f32.
fn as_operands<E: Elem>(x: &[f32]) -> Option<&[E]> {
    // SAFETY: the types are the same.
    (TypeId::of::<E>() == TypeId::of::<f32>())
        .then(|| unsafe { std::slice::from_raw_parts(x.as_ptr().cast(), x.len()) })
}

/// Normalises the rows of `x` in place.
///
/// # Safety
/// The CPU has the features of `K`.
///
/// # Panics
/// When `x` is not whole rows.
pub(crate) unsafe fn layer_norm<K: Kernel>(norm: &Norm, x: &mut [f32], pool: &Pool) {
    let width = norm.width();
    assert!(width > 0 && x.len().is_multiple_of(width), "x must be whole rows");
    let rows = x.len() / width;
    let x = RowsMut::new(x, width);
    pool.run(|member| {
        let (rows, kernel) = (member.team.share(rows), PhantomData::<K>);
        let step = Normalise {
            norm: Some(norm),
            width,
            x: x.as_rows(),
            rows,
            wide: Some(x),
            narrow: None,
            kernel,
        };
        // SAFETY: the CPU's features are the caller's word; shares of rows do not overlap.
        unsafe { step.compute() }
    });
}

/// Attention between ragged sequences; returns rows like `q`.
///
/// # Safety
/// The CPU has the features of `K`.
///
/// # Panics
/// When the slices do not hold the rows that the lengths sum to.
pub(crate) unsafe fn attention<K: Kernel>(task: &AttentionRows<'_>, pool: &Pool) -> Vec<f32> {
    let width = task.heads * task.dim;
    let (q_rows, kv_rows) = (
        task.q_lengths.iter().sum::<usize>(),
        task.kv_lengths.iter().sum::<usize>(),
    );
    assert_eq!(
        [task.q.len(), task.k.len(), task.v.len()],
        [q_rows, kv_rows, kv_rows].map(|rows| rows * width)
    );
    // One group more than the width, for what is read behind the last head.
    let stride = width.next_multiple_of(K::Elem::GROUP) + K::Elem::GROUP;
    let sizes = [q_rows, kv_rows, kv_rows, q_rows].map(|rows| rows * stride);
    let mut shared = pool.shared();
    let mut carver = shared.carve(sizes.into_iter().map(Arena::size::<K::Elem>).sum());
    let [q, k, v, out] = sizes.map(|size| RowsMut::new(carver.take::<K::Elem>(size), stride));
    let longest = task.kv_lengths.iter().copied().max().unwrap_or(0);
    pool.run(|member| {
        let team = member.team;
        // SAFETY: members keep to their shares between barriers.
        unsafe {
            narrow_rows(task.q, width, team.share(q_rows), q);
            narrow_rows(task.k, width, team.share(kv_rows), k);
            narrow_rows(task.v, width, team.share(kv_rows), v);
        }
        team.wait();
        let mut carver = member.arena.carve(HeadScratch::<K>::bytes(task.dim, longest));
        let mut scratch = HeadScratch::<K>::carve(&mut carver, task.dim, longest);
        let mine = team.share(task.q_lengths.len() * task.heads);
        let (mut q_row, mut kv_row) = (0, 0);
        for (index, (&q_len, &kv_len)) in task.q_lengths.iter().zip(task.kv_lengths).enumerate() {
            for head in (0..task.heads).filter(|head| mine.contains(&(index * task.heads + head))) {
                let column = head * task.dim;
                let head = Head {
                    q: q.from(q_row, column).as_rows(),
                    kv: Some([k, v].map(|rows| rows.from(kv_row, column).as_rows())),
                    out: out.from(q_row, column),
                    q_len,
                    kv_len,
                    dim: task.dim,
                    causal: task.causal,
                    scratch: &mut scratch,
                };
                // SAFETY: the CPU's features are the caller's word; heads do not overlap.
                unsafe { head.compute() }
            }
            (q_row, kv_row) = (q_row + q_len, kv_row + kv_len);
        }
    });
    let mut result = Vec::with_capacity(q_rows * width);
    for row in 0..q_rows {
        // SAFETY: the row holds `width` elements, and all threads are done.
        let row = unsafe { std::slice::from_raw_parts(out.row(row), width) };
        result.extend(row.iter().map(|x| x.to_f32()));
    }
    result
}

/// Attention between ragged sequences on operands as they lie; writes rows like `q` to `out`.
///
/// # Safety
/// The CPU has the features of `K`.
///
/// # Panics
/// When the slices do not hold the rows that the lengths sum to, a sequence has queries but no keys, or heads aren't whole
/// groups wide.
pub(crate) unsafe fn attend<K: Kernel>(task: &AttentionRows<'_, K::Elem>, out: &mut [K::Elem], pool: &Pool) {
    let width = task.heads * task.dim;
    let (q_rows, kv_rows) = (
        task.q_lengths.iter().sum::<usize>(),
        task.kv_lengths.iter().sum::<usize>(),
    );
    assert_eq!(
        [task.q.len(), out.len(), task.k.len(), task.v.len()],
        [q_rows, q_rows, kv_rows, kv_rows].map(|rows| rows * width)
    );
    assert_eq!(
        task.q_lengths.len(),
        task.kv_lengths.len(),
        "as many queries' lengths as keys'"
    );
    let pairs = || task.q_lengths.iter().zip(task.kv_lengths);
    assert!(pairs().all(|(q, kv)| *q == 0 || *kv > 0), "queries need keys");
    // Else a head's last group would end in the next one's first column, or behind the slice.
    assert!(
        task.dim.is_multiple_of(K::Elem::GROUP),
        "heads must be whole groups wide"
    );
    let [q, k, v] = [task.q, task.k, task.v].map(|part| Rows::new(part, width));
    let out = RowsMut::new(out, width);
    let (dim, longest) = (task.dim, task.kv_lengths.iter().copied().max().unwrap_or(0));
    // Every head of every sequence: queries, keys, where each begins, and the column.
    let heads = || {
        let (mut q_row, mut kv_row) = (0, 0);
        pairs().flat_map(move |(&q_len, &kv_len)| {
            let at = (q_row, kv_row);
            (q_row, kv_row) = (q_row + q_len, kv_row + kv_len);
            (0..task.heads).map(move |head| (q_len, kv_len, at, head * dim))
        })
    };
    let count = task.q_lengths.len() * task.heads;
    if task.causal || count >= WHOLE_HEADS * pool.threads() {
        pool.run(|member| {
            let mut carver = member.arena.carve(HeadScratch::<K>::bytes(dim, longest));
            let mut scratch = HeadScratch::<K>::carve(&mut carver, dim, longest);
            let mine = member.team.share(count);
            for (q_len, kv_len, (q_row, kv_row), column) in heads().skip(mine.start).take(mine.len()) {
                let head = Head {
                    q: q.from(q_row, column),
                    kv: Some([k, v].map(|rows| rows.from(kv_row, column))),
                    out: out.from(q_row, column),
                    q_len,
                    kv_len,
                    dim,
                    causal: task.causal,
                    scratch: &mut scratch,
                };
                // SAFETY: the CPU's features are the caller's word; heads do not overlap.
                unsafe { head.compute() }
            }
        });
        return;
    }
    // Too few heads for the threads: all work on each, on panels that they share.
    let mut shared = pool.shared();
    let panels = Panels::<K>::carve(&mut shared.carve(Panels::<K>::bytes(dim, longest)), dim, longest);
    pool.run(|member| {
        let mut carver = member.arena.carve(HeadScratch::<K>::bytes_beside(longest));
        let mut scratch = HeadScratch::<K>::beside(panels, &mut carver, longest);
        for (q_len, kv_len, (q_row, kv_row), column) in heads() {
            let kv = [k, v].map(|rows| rows.from(kv_row, column));
            // SAFETY: rows of this sequence, whole groups wide; the barriers keep packing and reading apart.
            unsafe { panels.pack(kv, kv_len, dim, &member.team) }
            member.team.wait();
            let mine = member.team.share(q_len);
            let head = Head {
                q: q.from(q_row + mine.start, column),
                kv: None,
                out: out.from(q_row + mine.start, column),
                q_len: mine.len(),
                kv_len,
                dim,
                causal: false,
                scratch: &mut scratch,
            };
            if !mine.is_empty() {
                // SAFETY: as above; the panels' memory is held above, and members' queries do not overlap.
                unsafe { head.compute() }
            }
            member.team.wait();
        }
    });
}

/// Converts rows of `width` to operands, filled with zeros to their stride.
///
/// # Safety
/// `to` holds these rows, and no other thread touches them meanwhile.
unsafe fn narrow_rows<E: Elem>(x: &[f32], width: usize, rows: std::ops::Range<usize>, to: RowsMut<'_, E>) {
    for row in rows {
        // SAFETY: the caller's contract; a row is `stride` long.
        let to = unsafe { std::slice::from_raw_parts_mut(to.row(row), to.stride()) };
        let (values, padding) = to.split_at_mut(width);
        for (to, x) in values.iter_mut().zip(&x[row * width..][..width]) {
            *to = E::from_f32(*x);
        }
        padding.fill(E::ZERO);
    }
}
