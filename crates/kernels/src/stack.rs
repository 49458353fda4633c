//! A stack of transformer layers on the CPU kernels.

use std::{
    marker::PhantomData,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::{
    activation::Activation,
    attention::{Head, HeadScratch},
    buffer::{Arena, Carver},
    layers::EncoderShape,
    norm::{Norm, Normalise},
    packed::Packed,
    plan::{Group, Plan},
    pool::{Pool, Team},
    product::{Output, Product, share_product},
    rows::RowsMut,
    simd::{Elem, Kernel},
};

/// One packed layer.
#[derive(Debug)]
pub(crate) struct Layer<K: Kernel> {
    /// Norm of the attention block.
    pub(crate) norm1: Norm,
    /// Query, key and value as one map.
    pub(crate) qkv: Packed<K>,
    /// The map after attention.
    pub(crate) output: Packed<K>,
    /// Norm of the feed-forward block.
    pub(crate) norm2: Norm,
    /// First map of the feed-forward block.
    pub(crate) up: Packed<K>,
    /// Second map of the feed-forward block.
    pub(crate) down: Packed<K>,
}

/// Equal layers, run one after another.
#[derive(Debug)]
pub(crate) struct Stack<K: Kernel> {
    shape: EncoderShape,
    layers: Vec<Layer<K>>,
}

/// A group's operands between the steps of a layer.
#[derive(Clone, Copy)]
struct Operands<'a, K: Kernel> {
    /// The residual stream of the group's rows.
    x: RowsMut<'a, f32>,
    /// Normalised rows.
    normal: RowsMut<'a, K::Elem>,
    /// Query, key and value of each row.
    qkv: RowsMut<'a, K::Elem>,
    /// What attention gives.
    context: RowsMut<'a, K::Elem>,
    /// Rows between the two maps of the feed-forward block.
    wide: RowsMut<'a, K::Elem>,
}

/// What one thread needs to work on a group.
struct Work<'a, 's, K: Kernel> {
    team: Team<'s>,
    group: &'s Group,
    causal: bool,
    operands: Operands<'a, K>,
    scratch: HeadScratch<'a, K>,
}

impl<K: Kernel> Stack<K> {
    /// A stack of `layers`.
    ///
    /// # Panics
    /// When a layer does not have the sizes of `shape`.
    pub(crate) fn new(shape: EncoderShape, layers: Vec<Layer<K>>) -> Self {
        let EncoderShape {
            hidden, intermediate, ..
        } = shape;
        for layer in &layers {
            let sizes = [&layer.qkv, &layer.output, &layer.up, &layer.down].map(|map| (map.outputs(), map.inputs()));
            let expected = [
                (3 * hidden, hidden),
                (hidden, hidden),
                (intermediate, hidden),
                (hidden, intermediate),
            ];
            assert_eq!(sizes, expected, "a layer's maps fit the stack");
            assert_eq!(
                [layer.norm1.width(), layer.norm2.width()],
                [hidden; 2],
                "a layer's norms fit the stack"
            );
        }
        Self { shape, layers }
    }

    /// Runs all layers over `x` in place: rows of `hidden`, the tokens of sequences of `lengths` one after another.
    ///
    /// # Safety
    /// The CPU has the features of `K`.
    ///
    /// # Panics
    /// When `x` does not hold the rows that `lengths` sum to.
    pub(crate) unsafe fn forward(&self, x: &mut [f32], lengths: &[usize], causal: bool, pool: &Pool) {
        let hidden = self.shape.hidden;
        assert_eq!(
            x.len(),
            lengths.iter().sum::<usize>() * hidden,
            "x holds the rows of all sequences"
        );
        let plan = Plan::new(lengths, pool.threads());
        let most_rows = plan.groups().iter().map(Group::rows).max().unwrap_or(0);
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let x = RowsMut::new(x, hidden);
        let operand_bytes = self.operand_bytes(most_rows);
        let head = hidden / self.shape.heads;
        let head_bytes = HeadScratch::<K>::bytes(head, longest);
        match &plan {
            Plan::Apart(groups) => {
                let next = AtomicUsize::new(0);
                pool.run(|member| {
                    while let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let mut carver = member.arena.carve(operand_bytes + head_bytes);
                        let operands = self.operands(&mut carver, x.from(group.first_row, 0), most_rows);
                        let scratch = HeadScratch::carve(&mut carver, head, longest);
                        // SAFETY: the CPU's features are the caller's word; this thread alone has the group.
                        unsafe {
                            self.run(Work {
                                team: Team::alone(),
                                group,
                                causal,
                                operands,
                                scratch,
                            })
                        }
                    }
                });
            }
            Plan::Together(groups) => {
                let mut shared = pool.shared();
                let operands = self.operands(&mut shared.carve(operand_bytes), x, most_rows);
                pool.run(|member| {
                    for group in groups {
                        let mut carver = member.arena.carve(head_bytes);
                        let operands = Operands {
                            x: x.from(group.first_row, 0),
                            ..operands
                        };
                        let scratch = HeadScratch::carve(&mut carver, head, longest);
                        // SAFETY: the CPU's features are the caller's word; the team keeps apart within each step.
                        unsafe {
                            self.run(Work {
                                team: member.team,
                                group,
                                causal,
                                operands,
                                scratch,
                            })
                        }
                    }
                });
            }
        }
    }

    /// Row strides of the operands: whole groups.
    fn strides(&self) -> [usize; 4] {
        let EncoderShape {
            hidden, intermediate, ..
        } = self.shape;
        [hidden, 3 * hidden, hidden, intermediate].map(|width| width.next_multiple_of(K::Elem::GROUP))
    }

    fn operand_bytes(&self, rows: usize) -> usize {
        self.strides()
            .into_iter()
            .map(|stride| Arena::size::<K::Elem>(rows * stride))
            .sum()
    }

    fn operands<'a>(&self, carver: &mut Carver<'a>, x: RowsMut<'a, f32>, rows: usize) -> Operands<'a, K> {
        let [normal, qkv, context, wide] = self
            .strides()
            .map(|stride| RowsMut::new(carver.take::<K::Elem>(rows * stride), stride));
        Operands {
            x,
            normal,
            qkv,
            context,
            wide,
        }
    }
}

/// How one thread of a team does the steps of a layer; members meet between steps.
impl<K: Kernel> Stack<K> {
    /// Runs all layers over a group.
    ///
    /// # Safety
    /// The CPU has the features of `K`; the whole team calls this with the same group, and nobody else touches it.
    unsafe fn run(&self, mut work: Work<'_, '_, K>) {
        // SAFETY: the caller's contract; every step writes only this member's share and ends in a barrier.
        unsafe {
            if !self.shape.norm_first {
                self.normalise(&work, None);
            }
            for layer in &self.layers {
                if self.shape.norm_first {
                    self.normalise(&work, Some(&layer.norm1));
                }
                self.attend(&mut work, layer);
                self.normalise(
                    &work,
                    Some(if self.shape.norm_first {
                        &layer.norm2
                    } else {
                        &layer.norm1
                    }),
                );
                self.feed_forward(&work, layer);
                if !self.shape.norm_first {
                    self.normalise(&work, Some(&layer.norm2));
                }
            }
        }
    }

    /// Rows of `x` to operands; with norms after the residual sums, also in place.
    unsafe fn normalise(&self, work: &Work<'_, '_, K>, norm: Option<&Norm>) {
        let Operands { x, normal, .. } = work.operands;
        let wide = if self.shape.norm_first || norm.is_none() {
            None
        } else {
            Some(x)
        };
        let rows = work.team.share(work.group.rows());
        let width = self.shape.hidden;
        let step = Normalise {
            norm,
            width,
            x: x.as_rows(),
            rows,
            wide,
            narrow: Some(normal),
            kernel: PhantomData::<K>,
        };
        // SAFETY: this member's rows only.
        unsafe { step.compute() }
        work.team.wait();
    }

    /// Attention with its projections, added to `x`.
    unsafe fn attend(&self, work: &mut Work<'_, '_, K>, layer: &Layer<K>) {
        let Operands {
            x,
            normal,
            qkv,
            context,
            ..
        } = work.operands;
        // SAFETY: each step writes this member's share, a barrier after each.
        unsafe {
            multiply(work, &layer.qkv, normal, Output::Narrow(qkv), None);
            self.heads(work);
            multiply(work, &layer.output, context, Output::Add(x), None);
        }
    }

    /// Every head of every sequence.
    unsafe fn heads(&self, work: &mut Work<'_, '_, K>) {
        let EncoderShape { hidden, heads, .. } = self.shape;
        let Operands { qkv, context, .. } = work.operands;
        let dim = hidden / heads;
        let mine = work.team.share(work.group.lengths.len() * heads);
        for (index, rows) in work.group.sequences().enumerate() {
            for head in 0..heads {
                if !mine.contains(&(index * heads + head)) {
                    continue;
                }
                let part = |third: usize| qkv.from(rows.start, third * hidden + head * dim).as_rows();
                let task = Head {
                    q: part(0),
                    kv: Some([part(1), part(2)]),
                    out: context.from(rows.start, head * dim),
                    q_len: rows.len(),
                    kv_len: rows.len(),
                    dim,
                    causal: work.causal,
                    scratch: &mut work.scratch,
                };
                // SAFETY: this member's heads; behind the last query head lie keys, so one more group can be read.
                unsafe { task.compute() }
            }
        }
        self.clear_padding(work);
        work.team.wait();
    }

    /// Zeros behind the last column of the context, where a group is not whole.
    fn clear_padding(&self, work: &Work<'_, '_, K>) {
        let context = work.operands.context;
        for row in work.team.share(work.group.rows()) {
            for column in self.shape.hidden..context.stride() {
                // SAFETY: within this member's rows, which are `stride` long.
                unsafe { *context.row(row).add(column) = K::Elem::ZERO }
            }
        }
    }

    /// Both maps of the feed-forward block, added to `x`.
    unsafe fn feed_forward(&self, work: &Work<'_, '_, K>, layer: &Layer<K>) {
        let Operands { x, normal, wide, .. } = work.operands;
        // SAFETY: each step writes this member's share, a barrier after each.
        unsafe {
            multiply(
                work,
                &layer.up,
                normal,
                Output::Narrow(wide),
                Some(self.shape.activation),
            );
            multiply(work, &layer.down, wide, Output::Add(x), None);
        }
    }
}

/// This member's share of a product, and the barrier after it.
unsafe fn multiply<K: Kernel>(
    work: &Work<'_, '_, K>,
    weights: &Packed<K>,
    a: RowsMut<'_, K::Elem>,
    output: Output<'_, K>,
    activation: Option<Activation>,
) {
    let (rows, panels) = share_product(&work.team, work.group.rows(), weights.panels(), K::ROWS);
    let part = Product {
        a: a.as_rows(),
        weights,
        rows,
        panels,
        output,
        activation,
    };
    // SAFETY: the group's rows at the weights' widths; shares of rows and panels do not overlap.
    unsafe { part.compute() }
    work.team.wait();
}
