//! Where and how kernels run: an instruction tier and threads.

use std::sync::Arc;

use super::{pool::Pool, tier::Tier};

/// A tier that runs on this CPU, and the threads of one model instance. Clones share the threads.
#[derive(Clone, Debug)]
pub struct Cpu {
    tier: Tier,
    pool: Arc<Pool>,
}

/// Why kernels can't run.
#[derive(Debug, thiserror::Error)]
pub enum CpuError {
    /// Instructions that this CPU doesn't have.
    #[error("this CPU cannot run the {0:?} kernels")]
    Tier(Tier),
    /// The system gives no threads.
    #[error("cannot start the kernel threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

impl Cpu {
    /// Starts `threads` threads, at least one, for kernels of `tier`.
    ///
    /// # Errors
    /// When this CPU doesn't have the tier's instructions, or the system refuses a thread.
    pub fn new(tier: Tier, threads: usize) -> Result<Self, CpuError> {
        let pool = Arc::new(Pool::new(threads)?);
        let cpu = Self {
            tier: Tier::Portable,
            pool,
        };
        cpu.with_tier(tier)
    }

    /// The same threads with another tier.
    ///
    /// # Errors
    /// When this CPU doesn't have its instructions.
    pub fn with_tier(self, tier: Tier) -> Result<Self, CpuError> {
        match tier.runs_here() {
            true => Ok(Self { tier, ..self }),
            false => Err(CpuError::Tier(tier)),
        }
    }

    /// The tier; it runs here.
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// Threads that a call uses.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }
}
