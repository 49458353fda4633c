//! The threads of one model instance, their scratch memory, and barriers between them.

use std::{
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use super::buffer::Arena;

/// A fixed set of threads that run one call at a time.
pub(crate) struct Pool {
    threads: usize,
    workers: rayon::ThreadPool,
    /// Held by the call that runs: a barrier needs all threads to be in the same one.
    running: Mutex<()>,
    /// Memory that all threads of a call share.
    shared: Mutex<Arena>,
    own: Vec<Mutex<Arena>>,
}

impl Pool {
    /// Starts `threads` threads.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(crate) fn new(threads: usize) -> Result<Self, rayon::ThreadPoolBuildError> {
        let threads = threads.max(1);
        let workers = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("kernel-{index}"))
            .build()?;
        let own = (0..threads).map(|_| Mutex::new(Arena::new())).collect();
        Ok(Self {
            threads,
            workers,
            running: Mutex::new(()),
            shared: Mutex::new(Arena::new()),
            own,
        })
    }

    /// How many threads there are.
    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// Runs `work` once on every thread and returns when all are done; calls wait for one another.
    ///
    /// A panic in `work` comes out here, after all threads have ended.
    pub(crate) fn run(&self, work: impl Fn(&mut Member<'_>) + Sync) {
        let _running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let barrier = Barrier::new(self.threads);
        self.workers.broadcast(|context| {
            let mut arena = lock(&self.own[context.index()]);
            let team = Team {
                rank: context.index(),
                size: self.threads,
                barrier: Some(&barrier),
            };
            let _poison = PoisonOnPanic(&barrier);
            work(&mut Member {
                team,
                arena: &mut arena,
            });
        });
    }

    /// The memory that the threads of a call share; taken before [`Pool::run`] by calls that need it.
    pub(crate) fn shared(&self) -> MutexGuard<'_, Arena> {
        lock(&self.shared)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({} threads)", self.threads)
    }
}

/// Scratch memory is valid whatever a panicking call left in it.
fn lock(arena: &Mutex<Arena>) -> MutexGuard<'_, Arena> {
    arena.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One thread of a call.
pub(crate) struct Member<'a> {
    /// Its place among the threads.
    pub(crate) team: Team<'a>,
    /// Its own scratch memory.
    pub(crate) arena: &'a mut Arena,
}

/// A thread's place among those that work on the same thing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Team<'a> {
    /// From 0 to `size - 1`.
    pub(crate) rank: usize,
    /// Threads in the team.
    pub(crate) size: usize,
    barrier: Option<&'a Barrier>,
}

impl Team<'_> {
    /// A team of one.
    pub(crate) fn alone() -> Self {
        Self {
            rank: 0,
            size: 1,
            barrier: None,
        }
    }

    /// A place in a team without a barrier.
    #[cfg(test)]
    pub(crate) fn of(rank: usize, size: usize) -> Self {
        Self {
            rank,
            size,
            barrier: None,
        }
    }

    /// Waits until the whole team is here; what its members wrote before is visible after.
    pub(crate) fn wait(&self) {
        if let Some(barrier) = self.barrier {
            barrier.wait();
        }
    }

    /// This member's share of `0..count`, contiguous and nearly equal.
    pub(crate) fn share(&self, count: usize) -> std::ops::Range<usize> {
        share(count, self.rank, self.size)
    }
}

/// Part `index` of `parts` nearly equal, contiguous parts of `0..count`.
pub(crate) fn share(count: usize, index: usize, parts: usize) -> std::ops::Range<usize> {
    count * index / parts..count * (index + 1) / parts
}

/// A barrier that spins first: steps are microseconds apart.
#[derive(Debug)]
struct Barrier {
    size: usize,
    arrived: AtomicUsize,
    round: AtomicUsize,
    poisoned: AtomicBool,
}

/// Turns of the spin loop before a waiting thread offers its core to others.
const SPINS: usize = 4000;

impl Barrier {
    fn new(size: usize) -> Self {
        Self {
            size,
            arrived: AtomicUsize::new(0),
            round: AtomicUsize::new(0),
            poisoned: AtomicBool::new(false),
        }
    }

    fn wait(&self) {
        let round = self.round.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.size {
            self.arrived.store(0, Ordering::Relaxed);
            self.round.store(round.wrapping_add(1), Ordering::Release);
            return;
        }
        let mut spins = 0;
        while self.round.load(Ordering::Acquire) == round {
            assert!(!self.poisoned.load(Ordering::Relaxed), "another kernel thread panicked");
            spins += 1;
            if spins < SPINS {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
    }
}

/// Lets the others out of a barrier that this thread will never reach.
struct PoisonOnPanic<'a>(&'a Barrier);

impl Drop for PoisonOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.poisoned.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn barrier_separates_steps() {
        let pool = Pool::new(3).expect("three threads");
        let counts: Vec<AtomicUsize> = (0..50).map(|_| AtomicUsize::new(0)).collect();
        pool.run(|member| {
            for count in &counts {
                count.fetch_add(1, Ordering::Relaxed);
                member.team.wait();
                assert_eq!(count.load(Ordering::Relaxed), 3);
            }
        });
    }

    #[test]
    fn panic_in_one_thread_reaches_the_caller_and_leaves_the_pool_usable() {
        let pool = Pool::new(2).expect("two threads");
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            pool.run(|member| {
                assert!(member.team.rank != 0, "boom");
                member.team.wait();
            });
        }));
        assert!(outcome.is_err());
        let ran = AtomicUsize::new(0);
        pool.run(|_| {
            ran.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(ran.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn shares_cover_everything_once() {
        for (count, parts) in [(10, 3), (2, 4), (0, 2), (7, 7)] {
            let all: Vec<usize> = (0..parts).flat_map(|index| share(count, index, parts)).collect();
            assert_eq!(all, (0..count).collect::<Vec<_>>());
        }
    }
}
