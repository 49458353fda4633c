//! Where and how layers compute.

use candle_core::{DType, Device, Result, bail};

/// The device, number format and CPU threads of one model instance. Clones share what is behind it.
#[derive(Clone, Debug)]
pub struct Compute {
    /// Where the layers run.
    pub device: Device,
    /// Number format of the matrix products: f32, f16 or bf16.
    pub dtype: DType,
    /// CPU threads used by one call; at least one.
    pub threads: usize,
}

impl Compute {
    /// Checks the parameters and starts the CPU threads.
    ///
    /// # Errors
    /// When `dtype` is not f32, f16 or bf16, or `threads` is zero.
    pub fn new(device: Device, dtype: DType, threads: usize) -> Result<Self> {
        if !matches!(dtype, DType::F32 | DType::F16 | DType::BF16) {
            bail!("dtype {dtype:?} is not supported: use f32, f16 or bf16")
        }
        if threads == 0 {
            bail!("threads must be at least 1")
        }
        Ok(Self { device, dtype, threads })
    }
}
