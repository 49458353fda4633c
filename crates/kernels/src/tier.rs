//! Which instructions the CPU offers, found at run time.

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

    /// The fastest tier here that multiplies f32, or, where `bf16` operands will do, the fastest at all.
    pub fn best(bf16: bool) -> Self {
        let fits = |tier: &Self| bf16 || *tier != Self::Avx512Bf16;
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
            $crate::Tier::Avx512Bf16 => {
                type $kernel = $crate::arch::Avx512Bf16;
                $body
            }
            #[cfg(target_arch = "x86_64")]
            $crate::Tier::Avx512 => {
                type $kernel = $crate::arch::Avx512;
                $body
            }
            #[cfg(target_arch = "x86_64")]
            $crate::Tier::Avx2 => {
                type $kernel = $crate::arch::Avx2;
                $body
            }
            _ => {
                type $kernel = $crate::arch::Portable;
                $body
            }
        }
    };
}
pub(crate) use with_kernel;

/// Evaluates an expression with `$kernel` naming the type of the tier's kernels whose operands are f32.
macro_rules! with_f32_kernel {
    ($tier:expr, $kernel:ident => $body:expr) => {
        match $tier {
            #[cfg(target_arch = "x86_64")]
            $crate::Tier::Avx512Bf16 | $crate::Tier::Avx512 => {
                type $kernel = $crate::arch::Avx512;
                $body
            }
            #[cfg(target_arch = "x86_64")]
            $crate::Tier::Avx2 => {
                type $kernel = $crate::arch::Avx2;
                $body
            }
            _ => {
                type $kernel = $crate::arch::Portable;
                $body
            }
        }
    };
}
pub(crate) use with_f32_kernel;
