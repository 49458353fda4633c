//! What becomes of memory between two tensors.
#![allow(unsafe_code)]

/// Lets glibc keep what is freed for what is asked for next, as long as this process lives. Call it before there are threads.
///
/// A step of denoising frees and takes hundreds of tensors of megabytes. By default each is a mapping of its own, which the
/// system fills with zeros page by page: a twentieth of a step. The peak stays the same; it is only not given back.
pub fn keep_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// Bytes, nearly the most that can be said: no tensor on a CPU is larger.
        const LARGEST: libc::c_int = 1 << 30;
        // Another arena than the first takes large blocks from the system whatever the threshold.
        for (setting, value) in [
            (libc::M_ARENA_MAX, 1),
            (libc::M_MMAP_THRESHOLD, LARGEST),
            (libc::M_TRIM_THRESHOLD, libc::c_int::MAX),
        ] {
            // SAFETY: sets a number in the allocator; there are no other threads yet. Where it is refused, steps take longer.
            let _ = unsafe { libc::mallopt(setting, value) };
        }
    }
}
