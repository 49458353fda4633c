//! Which instructions the CPU offers, found at run time.

use candle_core::DType;

/// A set of kernels, by the instructions and operand format they use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// AVX-512 with BF16: bf16 operands, f32 sums.
    Avx512Bf16,
    /// AVX-512, f32 operands.
    Avx512,
    /// AVX2 with FMA, f32 operands.
    Avx2,
    /// No special instructions, f32 operands.
    Portable,
}

impl Tier {
    /// Every tier this CPU can run, fastest first.
    pub fn available() -> Vec<Self> {
        [Self::Avx512Bf16, Self::Avx512, Self::Avx2, Self::Portable]
            .into_iter()
            .filter(|tier| tier.runs_here())
            .collect()
    }

    /// The fastest tier that keeps the precision of `dtype`: bf16 operands only where bf16 was asked for, f32
    /// otherwise.
    pub fn best(dtype: DType) -> Self {
        let fits = |tier: &Self| *tier != Self::Avx512Bf16 || dtype == DType::BF16;
        Self::available().into_iter().find(fits).unwrap_or(Self::Portable)
    }

    /// Whether this CPU has the instructions.
    pub fn runs_here(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            match self {
                Self::Avx512Bf16 => avx512 && is_x86_feature_detected!("avx512bf16"),
                Self::Avx512 => avx512,
                Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
                Self::Portable => true,
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            self == Self::Portable
        }
    }
}

/// Evaluates an expression with `$kernel` naming the type of the tier's kernels.
macro_rules! with_kernel {
    ($tier:expr, $kernel:ident => $body:expr) => {
        match $tier {
            #[cfg(target_arch = "x86_64")]
            $crate::kernels::Tier::Avx512Bf16 => {
                type $kernel = $crate::kernels::arch::Avx512Bf16;
                $body
            }
            #[cfg(target_arch = "x86_64")]
            $crate::kernels::Tier::Avx512 => {
                type $kernel = $crate::kernels::arch::Avx512;
                $body
            }
            #[cfg(target_arch = "x86_64")]
            $crate::kernels::Tier::Avx2 => {
                type $kernel = $crate::kernels::arch::Avx2;
                $body
            }
            _ => {
                type $kernel = $crate::kernels::arch::Portable;
                $body
            }
        }
    };
}
pub(crate) use with_kernel;
