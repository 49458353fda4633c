//! A fixed number of threads for decoding and resizing, off the reactor.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::oneshot;

use crate::MediaError;

/// The threads. Jobs wait in order; one whose caller has gone is skipped.
#[derive(Debug)]
pub(crate) struct CpuPool {
    threads: rayon::ThreadPool,
}

/// A large picture's resize is split over idle threads, which may start another job while they wait for its parts.
const STACK_BYTES: usize = 8 << 20;

impl CpuPool {
    /// # Errors
    /// If the system gives no threads.
    pub(crate) fn new(threads: usize) -> Result<Self, rayon::ThreadPoolBuildError> {
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.max(1))
            .stack_size(STACK_BYTES)
            .thread_name(|index| format!("media-{index}"))
            .build()?;
        Ok(Self { threads })
    }

    /// Runs `job` on one of the threads. Dropping the future takes a job that hasn't begun out of the queue; one that
    /// has runs to its end.
    ///
    /// A decoder that panics costs its own image and nothing else.
    pub(crate) async fn run<T, F>(&self, job: F) -> Result<T, MediaError>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, MediaError> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        self.threads.spawn(move || {
            if !sender.is_closed() {
                let done = catch_unwind(AssertUnwindSafe(job));
                let _ = sender.send(done.unwrap_or(Err(MediaError::Invalid("its data confuses the decoder"))));
            }
        });
        receiver.await.unwrap_or(Err(MediaError::Stopped))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_invalid_image_and_the_pool_lives_on() {
        let pool = CpuPool::new(1).unwrap();
        let got: Result<(), _> = pool.run(|| panic!("a decoder's bug")).await;
        assert_eq!(got.unwrap_err().code(), "invalid_image");
        assert_eq!(pool.run(|| Ok(7)).await, Ok(7));
    }

    #[tokio::test]
    async fn a_job_that_nobody_waits_for_is_skipped() {
        let pool = Arc::new(CpuPool::new(1).unwrap());
        let ran = Arc::new(AtomicUsize::new(0));
        let (release, gate) = std::sync::mpsc::sync_channel::<()>(1);
        let busy = tokio::spawn({
            let pool = pool.clone();
            async move { pool.run(move || gate.recv().map_err(|_| MediaError::Stopped)).await }
        });
        let counted = ran.clone();
        let mut queued = Box::pin(pool.run(move || Ok(counted.fetch_add(1, Ordering::SeqCst))));
        assert!(futures::poll!(&mut queued).is_pending());
        drop(queued);
        release.send(()).unwrap();
        assert_eq!(busy.await.unwrap(), Ok(()));
        assert_eq!(pool.run(|| Ok(())).await, Ok(()));
        assert_eq!(ran.load(Ordering::SeqCst), 0);
    }
}
