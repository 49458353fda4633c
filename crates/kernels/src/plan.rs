//! How the sequences of a call are shared out.

use std::ops::Range;

/// Rows that a group of sequences should not exceed, so that its scratch stays near the L2 cache while each panel of
/// weights still serves many tiles.
const GROUP_ROWS: usize = 512;

/// How far the largest share may lie above the mean before threads work on the same group instead.
const MAX_IMBALANCE: f64 = 1.12;

/// Consecutive sequences and their rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// Index of the first row.
    pub(crate) first_row: usize,
    /// Tokens of each sequence.
    pub(crate) lengths: Vec<usize>,
}

impl Group {
    /// Rows in all.
    pub(crate) fn rows(&self) -> usize {
        self.lengths.iter().sum()
    }

    /// The rows of each sequence, counted within the group.
    pub(crate) fn sequences(&self) -> impl Iterator<Item = Range<usize>> {
        let mut start = 0;
        self.lengths.iter().map(move |length| {
            let rows = start..start + length;
            start = rows.end;
            rows
        })
    }
}

/// The groups of a call, and who works on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Each thread takes one group after another: no barriers.
    Apart(Vec<Group>),
    /// All threads work on each group together.
    Together(Vec<Group>),
}

impl Plan {
    /// Plans sequences of `lengths` for `threads`.
    pub(crate) fn new(lengths: &[usize], threads: usize) -> Self {
        let rows: usize = lengths.iter().sum();
        if threads > 1 {
            let rounds = rows.div_ceil(GROUP_ROWS * threads).max(1);
            let groups = cut(lengths, rounds * threads);
            if balance(&groups, threads) <= MAX_IMBALANCE {
                return Self::Apart(groups);
            }
            return Self::Together(cut(lengths, rows.div_ceil(GROUP_ROWS * threads).max(1)));
        }
        Self::Apart(cut(lengths, rows.div_ceil(GROUP_ROWS).max(1)))
    }

    /// The groups.
    pub(crate) fn groups(&self) -> &[Group] {
        match self {
            Self::Apart(groups) | Self::Together(groups) => groups,
        }
    }
}

/// Cuts sequences into at most `parts` groups of nearly equal rows.
fn cut(lengths: &[usize], parts: usize) -> Vec<Group> {
    let total: usize = lengths.iter().sum();
    let mut groups: Vec<Group> = Vec::with_capacity(parts);
    let mut row = 0;
    for &length in lengths {
        // The part in which the sequence's middle lies.
        let part = (2 * row + length) * parts / (2 * total).max(1);
        let boundary = groups.last().is_none_or(|group| {
            let first = (2 * group.first_row + group.lengths[0]) * parts / (2 * total).max(1);
            first != part
        });
        match groups.last_mut() {
            Some(group) if !boundary => group.lengths.push(length),
            _ => groups.push(Group {
                first_row: row,
                lengths: vec![length],
            }),
        }
        row += length;
    }
    groups
}

/// The busiest thread's rows over the mean, when each takes the next group as soon as it is free.
fn balance(groups: &[Group], threads: usize) -> f64 {
    let mut loads = vec![0usize; threads];
    for group in groups {
        if let Some(least) = loads.iter_mut().min() {
            *least += group.rows();
        }
    }
    let total: usize = loads.iter().sum();
    let busiest = loads.into_iter().max().unwrap_or(0);
    busiest as f64 * threads as f64 / total.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_sequences_go_apart_and_few_together() {
        let rows = [
            (vec![50; 32], 2, true),
            (vec![50], 2, false),
            (vec![50; 3], 2, false),
            (vec![50; 2], 2, true),
            (vec![50; 3], 1, true),
            (vec![200, 10, 10], 2, false),
        ];
        for (lengths, threads, apart) in rows {
            let plan = Plan::new(&lengths, threads);
            assert_eq!(
                matches!(plan, Plan::Apart(_)),
                apart,
                "{lengths:?} on {threads}: {plan:?}"
            );
            let planned: Vec<usize> = plan.groups().iter().flat_map(|group| group.lengths.clone()).collect();
            assert_eq!(planned, lengths, "every sequence once, in order");
            let mut row = 0;
            for group in plan.groups() {
                assert_eq!(group.first_row, row);
                row += group.rows();
            }
        }
    }

    #[test]
    fn large_batches_are_cut_evenly() {
        let Plan::Apart(groups) = Plan::new(&[50; 32], 2) else {
            panic!("apart")
        };
        assert_eq!(groups.iter().map(Group::rows).collect::<Vec<_>>(), [400; 4]);
    }
}
