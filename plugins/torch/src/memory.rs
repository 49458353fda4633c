//! What becomes of memory between two tensors.
#![allow(unsafe_code)]

/// Lets glibc keep what is freed for what is asked for next. Call it before there are threads.
///
/// A step of denoising frees and takes hundreds of tensors of megabytes. By default each is a mapping of its own, which the
/// system fills with zeros page by page: a twentieth of a step. The largest, which only an autoencoder takes, still are:
/// kept in one heap, they would leave holes that fit nothing.
pub fn keep_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// Bytes from which on a block is a mapping of its own. A step at 512 × 512 takes 84 MB at once and little else above
        /// this, an autoencoder two dozen blocks of 67 to 268 MB.
        const LARGE: libc::c_int = 64 << 20;
        /// Freed bytes at the end of the heap that aren't given back.
        const KEPT: libc::c_int = 1 << 30;
        // Another arena than the first takes large blocks from the system whatever the threshold.
        for (setting, value) in [
            (libc::M_ARENA_MAX, 1),
            (libc::M_MMAP_THRESHOLD, LARGE),
            (libc::M_TRIM_THRESHOLD, KEPT),
        ] {
            // SAFETY: sets a number in the allocator; there are no other threads yet. Where it is refused, steps take longer.
            let _ = unsafe { libc::mallopt(setting, value) };
        }
    }
}

/// Gives back what is free now: after a load, whose buffers nothing will need again.
pub(crate) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the allocator returns free pages to the system; nothing that is in use is touched.
    let _ = unsafe { libc::malloc_trim(0) };
}
