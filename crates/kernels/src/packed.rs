//! Weights of a linear map, laid out for the register tile.

use super::{
    buffer::Buffer,
    simd::{Elem, Kernel, columns},
};

/// `W` (`[out, in]`) as panels of [`columns`] outputs each. Within a panel, group after group along `in`, the group
/// of every column in turn; short panels and groups are filled up with zeros.
#[derive(Debug)]
pub(crate) struct Packed<K: Kernel> {
    data: Buffer<K::Elem>,
    /// One for each column of each panel; zero where there is none.
    bias: Buffer<f32>,
    outputs: usize,
    inputs: usize,
}

impl<K: Kernel> Packed<K> {
    /// Packs `weight`, `outputs` rows of `inputs` values, and `bias`, `outputs` values or none at all.
    ///
    /// # Panics
    /// When the slices are not that long.
    pub(crate) fn new(weight: &[f32], outputs: usize, inputs: usize, bias: Option<&[f32]>) -> Self {
        assert_eq!(weight.len(), outputs * inputs, "weight must be outputs × inputs");
        let wide = columns::<K>();
        let panels = outputs.div_ceil(wide);
        let size = panel_size::<K>(inputs);
        let mut data = Buffer::zeroed(panels * size);
        for (panel, to) in data.as_mut_slice().chunks_mut(size.max(1)).enumerate() {
            let first = panel * wide;
            let count = wide.min(outputs - first);
            for column in 0..count {
                let row = &weight[(first + column) * inputs..][..inputs];
                pack_column::<K>(to, column, row);
            }
        }
        let mut padded = Buffer::zeroed(panels * wide);
        if let Some(bias) = bias {
            padded.as_mut_slice()[..outputs].copy_from_slice(bias);
        }
        Self {
            data,
            bias: padded,
            outputs,
            inputs,
        }
    }

    /// Values that come out of a row.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// Values that go in.
    pub(crate) fn inputs(&self) -> usize {
        self.inputs
    }

    /// Panels in all.
    pub(crate) fn panels(&self) -> usize {
        self.outputs.div_ceil(columns::<K>())
    }

    /// The elements of one panel.
    pub(crate) fn panel(&self, panel: usize) -> &[K::Elem] {
        let size = panel_size::<K>(self.inputs);
        &self.data.as_slice()[panel * size..][..size]
    }

    /// The biases of one panel's columns.
    pub(crate) fn bias(&self, panel: usize) -> &[f32] {
        &self.bias.as_slice()[panel * columns::<K>()..][..columns::<K>()]
    }
}

/// Elements of a panel over `inputs`.
pub(crate) fn panel_size<K: Kernel>(inputs: usize) -> usize {
    inputs.next_multiple_of(K::Elem::GROUP) * columns::<K>()
}

fn pack_column<K: Kernel>(panel: &mut [K::Elem], column: usize, row: &[f32]) {
    let group = K::Elem::GROUP;
    let wide = columns::<K>();
    for (index, values) in row.chunks(group).enumerate() {
        let to = &mut panel[(index * wide + column) * group..][..group];
        for (to, value) in to.iter_mut().zip(values) {
            *to = K::Elem::from_f32(*value);
        }
    }
}
