//! Where and how layers compute.

use candle_core::{DType, Device, Error, Result, bail};
use sensorium_kernels::{Cpu, Tier};

/// The device, number format and CPU threads of one model instance. Clones share the threads.
#[derive(Clone, Debug)]
pub struct Compute {
    /// Where the layers run.
    pub device: Device,
    /// Number format of the matrix products: f32, f16 or bf16. The CPU keeps f16 weights as f32, and bf16 ones too
    /// where it cannot multiply bf16.
    pub dtype: DType,
    /// CPU threads used by one call; at least one.
    pub threads: usize,
    cpu: Cpu,
}

impl Compute {
    /// Checks the parameters and starts the CPU threads.
    ///
    /// # Errors
    /// When `dtype` is not f32, f16 or bf16, `threads` is zero, or the system refuses a thread.
    pub fn new(device: Device, dtype: DType, threads: usize) -> Result<Self> {
        if !matches!(dtype, DType::F32 | DType::F16 | DType::BF16) {
            bail!("dtype {dtype:?} is not supported: use f32, f16 or bf16")
        }
        if threads == 0 {
            bail!("threads must be at least 1")
        }
        let cpu = Cpu::new(Tier::best(dtype == DType::BF16), threads).map_err(Error::wrap)?;
        Ok(Self {
            device,
            dtype,
            threads,
            cpu,
        })
    }

    /// The same with a given tier of CPU kernels, for tests and measurements.
    ///
    /// # Errors
    /// When this CPU does not have the tier's instructions.
    pub fn with_tier(mut self, tier: Tier) -> Result<Self> {
        self.cpu = self.cpu.with_tier(tier).map_err(Error::wrap)?;
        Ok(self)
    }

    /// The tier of CPU kernels in use.
    pub fn tier(&self) -> Tier {
        self.cpu.tier()
    }

    /// The CPU kernels' side, when layers run on the CPU.
    pub(super) fn cpu(&self) -> Option<Cpu> {
        matches!(self.device, Device::Cpu).then(|| self.cpu.clone())
    }
}
