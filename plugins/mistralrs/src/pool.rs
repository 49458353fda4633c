//! The engine's own thread as one of the threads that compute.

use std::cell::OnceCell;

use rayon::{ThreadPool, ThreadPoolBuilder};

thread_local! {
    /// The pool that this thread works in; `None`: in no other than before.
    static POOL: OnceCell<Option<ThreadPool>> = const { OnceCell::new() };
}

/// Makes the calling thread one of a pool of as many threads as the engine may have. It is called on the thread that runs
/// a model's layers, which the engine starts and shows to nobody but its logits processors.
///
/// A thread that is in no pool hands every parallel loop, however short, to one that sleeps, and waits until that has
/// woken, worked and woken it again: some hundred times a token: a tenth of its time in f32, and two fifths in 8 bits, where a
/// layer of a small model takes less than a millisecond. A thread of the pool begins the loop at once, and others help if they are awake in time.
pub(crate) fn join() {
    POOL.with(|pool| {
        pool.get_or_init(|| {
            let threads = rayon::current_num_threads();
            // Of a pool of one, a task that is spawned to be waited for would never run.
            if threads < 2 || rayon::current_thread_index().is_some() {
                return None;
            }
            let built = ThreadPoolBuilder::new()
                .num_threads(threads)
                .use_current_thread()
                .build();
            built
                .inspect_err(|error| tracing::warn!(%error, "the engine's thread stays outside the pool"))
                .ok()
        });
    });
}
