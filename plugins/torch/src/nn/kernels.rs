//! Linear maps and attention by the house's own kernels, on libtorch's memory.
//!
//! libtorch multiplies f32 matrices through MKL, which on AMD's CPUs uses half of their vectors' width, and makes attention
//! of such products in every format. Convolutions, and linear maps in bf16, go through oneDNN, which uses all of it.
#![allow(unsafe_code)]

use half::bf16;
use sensorium_kernels::{AttentionRows, Cpu, Linear, LinearWeights, Tier};
use tch::{Device, Kind, Tensor};

use crate::{checkpoint::Target, error::LoadError};

/// The kernels for a target, on so many threads; `None` where libtorch's own are better: on GPUs, in formats that the CPU
/// can't multiply, and without instructions that the kernels were written for.
///
/// # Errors
/// If the system gives no threads.
pub(crate) fn kernels(target: Target, threads: usize) -> Result<Option<Cpu>, LoadError> {
    let tier = match (target.device, target.kind) {
        (Device::Cpu, Kind::Float) => Some(Tier::best(false)).filter(|tier| *tier != Tier::Portable),
        (Device::Cpu, Kind::BFloat16) => Some(Tier::Avx512Bf16).filter(|tier| tier.runs_here()),
        _ => None,
    };
    tier.map(|tier| Cpu::new(tier, threads).map_err(|error| LoadError::Process(error.to_string())))
        .transpose()
}

/// `weight` of `[out, input]` and `bias` of `[out]` packed for the kernels, if they multiply this format.
pub(super) fn pack(weight: &Tensor, bias: Option<&Tensor>, cpu: &Cpu) -> Option<Linear> {
    if weight.kind() != Kind::Float {
        return None;
    }
    let (out, input) = (weight.size()[0] as usize, weight.size()[1] as usize);
    let values = |x: &Tensor| f32s(&x.contiguous()).to_vec();
    let weights = LinearWeights {
        weight: values(weight),
        bias: bias.map(values),
    };
    Some(Linear::new(&weights, out, input, cpu))
}

/// `[.., input]` -> `[.., out]`.
pub(super) fn linear(map: &Linear, x: &Tensor) -> Tensor {
    let x = x.contiguous();
    let mut size = x.size();
    if let Some(last) = size.last_mut() {
        *last = map.outputs() as i64;
    }
    let mut out = Tensor::empty(size, (Kind::Float, Device::Cpu));
    map.forward_into(f32s(&x), f32s_mut(&mut out));
    out
}

/// softmax(Q Kᵀ / √d) V of `[b, n, heads d]` and two times `[b, m, heads d]`.
pub(super) fn attend([query, key, value]: [&Tensor; 3], heads: i64, causal: bool, cpu: &Cpu) -> Tensor {
    let [query, key, value] = [query, key, value].map(Tensor::contiguous);
    let (size, kind) = (query.size(), query.kind());
    let (batch, rows, keys) = (size[0] as usize, size[1] as usize, key.size()[1] as usize);
    let (heads, dim) = (heads as usize, (size[2] / heads) as usize);
    let (q_lengths, kv_lengths) = (vec![rows; batch], vec![keys; batch]);
    let mut out = Tensor::empty(size, (kind, Device::Cpu));
    macro_rules! rows {
        ($numbers:ident) => {
            AttentionRows {
                q: $numbers(&query),
                k: $numbers(&key),
                v: $numbers(&value),
                heads,
                dim,
                q_lengths: &q_lengths,
                kv_lengths: &kv_lengths,
                causal,
            }
        };
    }
    match kind {
        Kind::BFloat16 => sensorium_kernels::attend_bf16(&rows!(bf16s), bf16s_mut(&mut out), cpu),
        _ => sensorium_kernels::attend(&rows!(f32s), f32s_mut(&mut out), cpu),
    }
    out
}

macro_rules! views {
    ($read:ident, $write:ident, $number:ty, $kind:pat) => {
        /// A contiguous tensor's numbers. Nobody writes to it meanwhile: layers change nothing in place but what they made
        /// themselves and have not handed out.
        fn $read(x: &Tensor) -> &[$number] {
            check(x, matches!(x.kind(), $kind));
            if x.numel() == 0 {
                return &[]; // libtorch points nowhere
            }
            // SAFETY: libtorch keeps `numel` numbers of this type there for as long as the tensor lives, in one piece.
            unsafe { std::slice::from_raw_parts(x.data_ptr().cast_const().cast(), x.numel()) }
        }

        /// A new tensor's numbers, to write.
        fn $write(x: &mut Tensor) -> &mut [$number] {
            check(x, matches!(x.kind(), $kind));
            if x.numel() == 0 {
                return &mut [];
            }
            // SAFETY: as above; the tensor was made just now and has no other views. Any bits are a number.
            unsafe { std::slice::from_raw_parts_mut(x.data_ptr().cast(), x.numel()) }
        }
    };
}

views!(f32s, f32s_mut, f32, Kind::Float);
views!(bf16s, bf16s_mut, bf16, Kind::BFloat16);

fn check(x: &Tensor, of_kind: bool) {
    assert!(
        of_kind && x.device() == Device::Cpu && x.is_contiguous(),
        "not what the kernels read: {x:?}"
    );
}
