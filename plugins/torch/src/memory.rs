//! What becomes of memory between two tensors.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicI32, Ordering};

/// Bytes from which on a block is a mapping of its own, as [`keep_freed`] has set it; 0: it has not.
static LARGE: AtomicI32 = AtomicI32::new(0);

/// Lets glibc keep what is freed for what is asked for next, unless the environment says what it shall do.
///
/// A step of denoising frees and takes hundreds of tensors of megabytes. By default each is a mapping of its own, which the
/// system fills with zeros page by page: a twentieth of a step. The largest still are.
pub fn keep_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// What is tried for [`LARGE`]. A step of a Stable Diffusion 1.5 at 512 × 512 takes ten blocks of 84 MB, and hundreds
        /// below this. Before 2.35, glibc takes no more than the second.
        const SIZES: [libc::c_int; 2] = [64 << 20, 32 << 20];
        /// Freed bytes at the end of the heap that aren't given back.
        const KEPT: libc::c_int = 1 << 30;
        let named = |name: &&str| std::env::var_os(name).is_some();
        if ["MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"].iter().any(named) {
            return;
        }
        // The others alone would make matters worse: they end glibc's own search for a threshold.
        if let Some(bytes) = SIZES.into_iter().find(|bytes| set(libc::M_MMAP_THRESHOLD, *bytes)) {
            LARGE.store(bytes, Ordering::Relaxed);
            set(libc::M_TRIM_THRESHOLD, KEPT);
            // Another heap than the first takes large blocks from the system whatever the threshold.
            set(libc::M_ARENA_MAX, 1);
        }
    }
}

/// Gives back what is free now: after a load, whose buffers nothing will need again.
pub(crate) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the allocator returns free pages to the system; nothing that is in use is touched.
    let _ = unsafe { libc::malloc_trim(0) };
}

/// Until this is dropped, nothing that is freed is kept: for work that takes much at once, in blocks of sizes of its own, which
/// leave holes that fit nothing else.
pub(crate) struct Sparing;

impl Sparing {
    /// Gives back what is free, and begins.
    pub(crate) fn begin() -> Self {
        give_back();
        #[cfg(all(target_os = "linux", target_env = "gnu"))]
        if LARGE.load(Ordering::Relaxed) > 0 {
            set(libc::M_MMAP_THRESHOLD, 1 << 20);
        }
        Self
    }
}

impl Drop for Sparing {
    fn drop(&mut self) {
        let large = LARGE.load(Ordering::Relaxed);
        #[cfg(all(target_os = "linux", target_env = "gnu"))]
        if large > 0 {
            set(libc::M_MMAP_THRESHOLD, large);
        }
        #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
        let _ = large;
    }
}

/// True if the allocator accepts it.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn set(setting: libc::c_int, value: libc::c_int) -> bool {
    // SAFETY: sets a number in the allocator, which takes its own lock for it.
    unsafe { libc::mallopt(setting, value) == 1 }
}
