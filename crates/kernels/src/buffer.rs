//! Zeroed memory aligned for vectors, and for huge pages where it is large.

use std::{
    alloc::{Layout, alloc, dealloc, handle_alloc_error},
    fmt,
    marker::PhantomData,
    ptr::NonNull,
};

/// A cache line.
const LINE: usize = 64;
/// A huge page on x86-64 and most aarch64.
const HUGE: usize = 2 << 20;

/// A fixed number of zero-initialised `T`, which must be a plain number type.
pub(crate) struct Buffer<T: Copy> {
    start: NonNull<T>,
    len: usize,
    layout: Layout,
    marker: PhantomData<T>,
}

// SAFETY: a buffer owns its memory, as a Vec does.
unsafe impl<T: Copy + Send> Send for Buffer<T> {}
// SAFETY: shared access only reads.
unsafe impl<T: Copy + Sync> Sync for Buffer<T> {}

impl<T: Copy> Buffer<T> {
    /// `len` zeros. `T` must be a number type, for which all bits zero is a value.
    pub(crate) fn zeroed(len: usize) -> Self {
        let bytes = (len * size_of::<T>()).max(LINE);
        let align = if bytes >= HUGE { HUGE } else { LINE };
        let layout = Layout::from_size_align(bytes, align).expect("a size that fits memory, a power of two");
        // SAFETY: the layout's size is not zero.
        let memory = unsafe { alloc(layout) };
        let Some(start) = NonNull::new(memory.cast::<T>()) else {
            handle_alloc_error(layout)
        };
        // The advice counts for pages not yet touched, so it comes before the zeros.
        advise_huge(memory, bytes);
        // SAFETY: `bytes` bytes were just allocated.
        unsafe { memory.write_bytes(0, bytes) };
        Self {
            start,
            len,
            layout,
            marker: PhantomData,
        }
    }

    /// The elements.
    pub(crate) fn as_slice(&self) -> &[T] {
        // SAFETY: `len` elements, initialised (zeroed at least), owned by self.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    /// The elements, to write.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: as above, and borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl<T: Copy> Drop for Buffer<T> {
    fn drop(&mut self) {
        // SAFETY: allocated in `zeroed` with this very layout.
        unsafe { dealloc(self.start.as_ptr().cast(), self.layout) }
    }
}

impl<T: Copy> fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} × {} bytes)", self.len, size_of::<T>())
    }
}

/// Asks the kernel to back whole huge pages of a block with huge pages: fewer TLB misses when weights stream in.
fn advise_huge(start: *mut u8, bytes: usize) {
    #[cfg(target_os = "linux")]
    if bytes >= HUGE {
        // SAFETY: the range lies within the block just allocated; the advice changes no contents.
        let advice =
            unsafe { rustix::mm::madvise(start.cast(), bytes / HUGE * HUGE, rustix::mm::Advice::LinuxHugepage) };
        // Kernels without huge pages refuse; nothing depends on it.
        let _ = advice;
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (start, bytes);
}

/// Scratch memory that grows to the largest use and is then carved into typed parts.
#[derive(Debug)]
pub(crate) struct Arena(Buffer<u8>);

impl Arena {
    /// An empty arena.
    pub(crate) fn new() -> Self {
        Self(Buffer::zeroed(0))
    }

    /// Starts carving, with room for `bytes` in all (each part rounded up by [`Arena::size`]).
    pub(crate) fn carve(&mut self, bytes: usize) -> Carver<'_> {
        if self.0.len < bytes {
            self.0 = Buffer::zeroed(bytes.next_multiple_of(LINE));
        }
        Carver {
            rest: self.0.as_mut_slice(),
        }
    }

    /// Bytes that a part of `len` elements of `T` takes.
    pub(crate) const fn size<T>(len: usize) -> usize {
        (len * size_of::<T>()).next_multiple_of(LINE)
    }
}

/// Hands out the parts of an [`Arena`] one after another.
pub(crate) struct Carver<'a> {
    rest: &'a mut [u8],
}

impl<'a> Carver<'a> {
    /// The next `len` elements, aligned to a cache line; what was there before is still there.
    ///
    /// # Panics
    /// When the arena was carved for fewer bytes.
    pub(crate) fn take<T: super::simd::Elem>(&mut self, len: usize) -> &'a mut [T] {
        let bytes = Arena::size::<T>(len);
        let rest = std::mem::take(&mut self.rest);
        let (part, rest) = rest.split_at_mut(bytes);
        self.rest = rest;
        // SAFETY: the part is aligned to a cache line, long enough, borrowed for 'a, and any bits are a number.
        unsafe { std::slice::from_raw_parts_mut(part.as_mut_ptr().cast::<T>(), len) }
    }
}
