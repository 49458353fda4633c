//! Matrices by their first element and row stride, shared between threads that keep to their own parts.

use std::marker::PhantomData;

/// A matrix to read: row `i` starts at `start + i · stride`.
#[derive(Debug)]
pub(crate) struct Rows<'a, T> {
    start: *const T,
    stride: usize,
    marker: PhantomData<&'a [T]>,
}

/// A matrix to write, of which several threads may hold copies.
///
/// Whoever writes through it owes that no other thread touches the same elements between two barriers.
#[derive(Debug)]
pub(crate) struct RowsMut<'a, T> {
    start: *mut T,
    stride: usize,
    marker: PhantomData<&'a mut [T]>,
}

impl<T> Clone for Rows<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Rows<'_, T> {}
impl<T> Clone for RowsMut<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for RowsMut<'_, T> {}

// SAFETY: reading numbers from several threads; writers are kept apart by barriers (see RowsMut).
unsafe impl<T: Sync> Send for Rows<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Rows<'_, T> {}
// SAFETY: using it to write is unsafe (raw pointers), and asks for disjoint parts.
unsafe impl<T: Send> Send for RowsMut<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for RowsMut<'_, T> {}

impl<'a, T> Rows<'a, T> {
    /// Rows of `stride` elements in `data`.
    pub(crate) fn new(data: &'a [T], stride: usize) -> Self {
        Self {
            start: data.as_ptr(),
            stride,
            marker: PhantomData,
        }
    }

    /// Elements from one row to the next.
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// Where row `row` starts; within the data only for rows that exist.
    pub(crate) fn row(&self, row: usize) -> *const T {
        self.start.wrapping_add(row * self.stride)
    }

    /// The matrix from column `column` and row `row` on.
    pub(crate) fn from(&self, row: usize, column: usize) -> Self {
        Self {
            start: self.row(row).wrapping_add(column),
            ..*self
        }
    }
}

impl<'a, T> RowsMut<'a, T> {
    /// Rows of `stride` elements in `data`.
    pub(crate) fn new(data: &'a mut [T], stride: usize) -> Self {
        Self {
            start: data.as_mut_ptr(),
            stride,
            marker: PhantomData,
        }
    }

    /// The same matrix, to read.
    pub(crate) fn as_rows(&self) -> Rows<'a, T> {
        Rows {
            start: self.start,
            stride: self.stride,
            marker: PhantomData,
        }
    }

    /// Elements from one row to the next.
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// Where row `row` starts; within the data only for rows that exist.
    pub(crate) fn row(&self, row: usize) -> *mut T {
        self.start.wrapping_add(row * self.stride)
    }

    /// The matrix from column `column` and row `row` on.
    pub(crate) fn from(&self, row: usize, column: usize) -> Self {
        Self {
            start: self.row(row).wrapping_add(column),
            ..*self
        }
    }
}
