//! AVX-512: 16 lanes, 14 × 32 register tiles, with f32 operands or with pairs of bf16.

use std::arch::x86_64::*;

use half::bf16;

use crate::simd::{Kernel, Simd, Task};

/// 16 f32 lanes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lanes16;

/// f32 operands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512;

/// bf16 operands, multiplied in pairs and summed in f32.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512Bf16;

/// A mask of the first `count` of 16 lanes.
#[inline(always)]
fn first(count: usize) -> __mmask16 {
    ((1u32 << count) - 1) as __mmask16
}

// SAFETY (all blocks): the caller holds the trait's contract, that is the tier's CPU features and valid pointers.
impl Simd for Lanes16 {
    type V = __m512;
    const LANES: usize = 16;

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m512 {
        // SAFETY: see the trait.
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m512 {
        // SAFETY: see the trait.
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_partial(from: *const f32, count: usize) -> __m512 {
        // SAFETY: see the trait; masked lanes are not touched.
        unsafe { _mm512_maskz_loadu_ps(first(count), from) }
    }

    #[inline(always)]
    unsafe fn load_partial_or(from: *const f32, count: usize, other: __m512) -> __m512 {
        // SAFETY: see the trait; masked lanes are not touched.
        unsafe { _mm512_mask_loadu_ps(other, first(count), from) }
    }

    #[inline(always)]
    unsafe fn keep(v: __m512, count: usize) -> __m512 {
        // SAFETY: see the trait.
        unsafe { _mm512_maskz_mov_ps(first(count), v) }
    }

    #[inline(always)]
    unsafe fn prefetch(at: *const f32) {
        // SAFETY: see the trait; a prefetch never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, v: __m512) {
        // SAFETY: see the trait.
        unsafe { _mm512_storeu_ps(to, v) }
    }

    #[inline(always)]
    unsafe fn store_partial(to: *mut f32, v: __m512, count: usize) {
        // SAFETY: see the trait; masked lanes are not touched.
        unsafe { _mm512_mask_storeu_ps(to, first(count), v) }
    }

    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        // SAFETY: see the trait.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn sub(a: __m512, b: __m512) -> __m512 {
        // SAFETY: see the trait.
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn mul(a: __m512, b: __m512) -> __m512 {
        // SAFETY: see the trait.
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn div(a: __m512, b: __m512) -> __m512 {
        // SAFETY: see the trait.
        unsafe { _mm512_div_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: see the trait.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    unsafe fn max(a: __m512, b: __m512) -> __m512 {
        // SAFETY: see the trait.
        unsafe { _mm512_max_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn min(a: __m512, b: __m512) -> __m512 {
        // SAFETY: see the trait.
        unsafe { _mm512_min_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn abs(a: __m512) -> __m512 {
        // SAFETY: see the trait.
        unsafe { _mm512_abs_ps(a) }
    }

    #[inline(always)]
    unsafe fn round(a: __m512) -> __m512 {
        // SAFETY: see the trait.
        unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
    }

    #[inline(always)]
    unsafe fn scale_by_power(a: __m512, n: __m512) -> __m512 {
        // SAFETY: see the trait.
        unsafe { _mm512_scalef_ps(a, n) }
    }

    #[inline(always)]
    unsafe fn sum(a: __m512) -> f32 {
        // SAFETY: see the trait.
        unsafe { _mm512_reduce_add_ps(a) }
    }

    #[inline(always)]
    unsafe fn largest(a: __m512) -> f32 {
        // SAFETY: see the trait.
        unsafe { _mm512_reduce_max_ps(a) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn enter_f32<T: Task>(task: T) {
    task.run();
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
unsafe fn enter_bf16<T: Task>(task: T) {
    task.run();
}

impl Kernel for Avx512 {
    type S = Lanes16;
    type Elem = f32;
    type Groups = __m512;
    const ROWS: usize = 14;

    #[inline(always)]
    unsafe fn enter<T: Task>(task: T) {
        // SAFETY: see the trait.
        unsafe { enter_f32(task) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m512 {
        // SAFETY: see the trait.
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn broadcast(from: *const f32) -> __m512 {
        // SAFETY: see the trait.
        unsafe { _mm512_set1_ps(*from) }
    }

    #[inline(always)]
    unsafe fn dot(sum: __m512, a: __m512, b: __m512) -> __m512 {
        // SAFETY: see the trait.
        unsafe { _mm512_fmadd_ps(a, b, sum) }
    }

    #[inline(always)]
    unsafe fn narrow(to: *mut f32, v: __m512) {
        // SAFETY: see the trait.
        unsafe { _mm512_storeu_ps(to, v) }
    }

    #[inline(always)]
    unsafe fn narrow_partial(to: *mut f32, v: __m512, count: usize) {
        // SAFETY: see the trait; masked lanes are not touched.
        unsafe { _mm512_mask_storeu_ps(to, first(count), v) }
    }
}

impl Kernel for Avx512Bf16 {
    type S = Lanes16;
    type Elem = bf16;
    type Groups = __m512i;
    const ROWS: usize = 14;

    #[inline(always)]
    unsafe fn enter<T: Task>(task: T) {
        // SAFETY: see the trait.
        unsafe { enter_bf16(task) }
    }

    #[inline(always)]
    unsafe fn load(from: *const bf16) -> __m512i {
        // SAFETY: see the trait.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline(always)]
    unsafe fn broadcast(from: *const bf16) -> __m512i {
        // SAFETY: see the trait.
        unsafe { _mm512_set1_epi32(from.cast::<i32>().read_unaligned()) }
    }

    #[inline(always)]
    unsafe fn dot(sum: __m512, a: __m512i, b: __m512i) -> __m512 {
        // SAFETY: see the trait; a vector of 32-bit groups and one of bf16 pairs are the same bits.
        unsafe {
            _mm512_dpbf16_ps(
                sum,
                std::mem::transmute::<__m512i, __m512bh>(a),
                std::mem::transmute::<__m512i, __m512bh>(b),
            )
        }
    }

    #[inline(always)]
    unsafe fn narrow(to: *mut bf16, v: __m512) {
        // SAFETY: see the trait; a vector of bf16 and one of 256 bits are the same bits.
        unsafe {
            let narrowed = std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(v));
            _mm256_storeu_si256(to.cast(), narrowed)
        }
    }

    #[inline(always)]
    unsafe fn narrow_partial(to: *mut bf16, v: __m512, count: usize) {
        // SAFETY: see the trait; masked lanes are not touched.
        unsafe {
            let narrowed = std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(v));
            _mm256_mask_storeu_epi16(to.cast(), first(count), narrowed)
        }
    }
}
