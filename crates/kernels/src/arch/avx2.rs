//! AVX2 with FMA: 8 lanes, 6 × 16 register tiles, f32 operands.

use std::arch::x86_64::*;

use crate::simd::{Kernel, Simd, Task};

/// 8 f32 lanes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lanes8;

/// f32 operands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2;

/// A mask of the first `count` of 8 lanes.
///
/// # Safety
/// Needs AVX2.
#[inline(always)]
unsafe fn first(count: usize) -> __m256i {
    // SAFETY: see above.
    unsafe {
        let lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        _mm256_cmpgt_epi32(_mm256_set1_epi32(count as i32), lane)
    }
}

// SAFETY (all blocks): the caller holds the trait's contract, that is the tier's CPU features and valid pointers.
impl Simd for Lanes8 {
    type V = __m256;
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m256 {
        // SAFETY: see the trait.
        unsafe { _mm256_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m256 {
        // SAFETY: see the trait.
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_partial(from: *const f32, count: usize) -> __m256 {
        // SAFETY: see the trait; masked lanes are not touched.
        unsafe { _mm256_maskload_ps(from, first(count)) }
    }

    #[inline(always)]
    unsafe fn load_partial_or(from: *const f32, count: usize, other: __m256) -> __m256 {
        // SAFETY: see the trait; masked lanes are not touched.
        unsafe {
            _mm256_blendv_ps(
                other,
                Self::load_partial(from, count),
                _mm256_castsi256_ps(first(count)),
            )
        }
    }

    #[inline(always)]
    unsafe fn keep(v: __m256, count: usize) -> __m256 {
        // SAFETY: see the trait.
        unsafe { _mm256_and_ps(v, _mm256_castsi256_ps(first(count))) }
    }

    #[inline(always)]
    unsafe fn prefetch(at: *const f32) {
        // SAFETY: see the trait; a prefetch never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, v: __m256) {
        // SAFETY: see the trait.
        unsafe { _mm256_storeu_ps(to, v) }
    }

    #[inline(always)]
    unsafe fn store_partial(to: *mut f32, v: __m256, count: usize) {
        // SAFETY: see the trait; masked lanes are not touched.
        unsafe { _mm256_maskstore_ps(to, first(count), v) }
    }

    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        // SAFETY: see the trait.
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn sub(a: __m256, b: __m256) -> __m256 {
        // SAFETY: see the trait.
        unsafe { _mm256_sub_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn mul(a: __m256, b: __m256) -> __m256 {
        // SAFETY: see the trait.
        unsafe { _mm256_mul_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn div(a: __m256, b: __m256) -> __m256 {
        // SAFETY: see the trait.
        unsafe { _mm256_div_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: see the trait.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    unsafe fn max(a: __m256, b: __m256) -> __m256 {
        // SAFETY: see the trait.
        unsafe { _mm256_max_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn min(a: __m256, b: __m256) -> __m256 {
        // SAFETY: see the trait.
        unsafe { _mm256_min_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn abs(a: __m256) -> __m256 {
        // SAFETY: see the trait.
        unsafe { _mm256_andnot_ps(_mm256_set1_ps(-0.0), a) }
    }

    #[inline(always)]
    unsafe fn round(a: __m256) -> __m256 {
        // SAFETY: see the trait.
        unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
    }

    #[inline(always)]
    unsafe fn scale_by_power(a: __m256, n: __m256) -> __m256 {
        // SAFETY: see the trait. A whole n in −126..=127 plus the bias is a valid exponent.
        unsafe {
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
            _mm256_mul_ps(a, _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent)))
        }
    }

    #[inline(always)]
    unsafe fn sum(a: __m256) -> f32 {
        // SAFETY: see the trait.
        unsafe {
            let four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }

    #[inline(always)]
    unsafe fn largest(a: __m256) -> f32 {
        // SAFETY: see the trait.
        unsafe {
            let four = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }
}

#[target_feature(enable = "avx2,fma")]
unsafe fn enter_avx2<T: Task>(task: T) {
    task.run();
}

impl Kernel for Avx2 {
    type S = Lanes8;
    type Elem = f32;
    type Groups = __m256;
    const ROWS: usize = 6;

    #[inline(always)]
    unsafe fn enter<T: Task>(task: T) {
        // SAFETY: see the trait.
        unsafe { enter_avx2(task) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m256 {
        // SAFETY: see the trait.
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn broadcast(from: *const f32) -> __m256 {
        // SAFETY: see the trait.
        unsafe { _mm256_set1_ps(*from) }
    }

    #[inline(always)]
    unsafe fn dot(sum: __m256, a: __m256, b: __m256) -> __m256 {
        // SAFETY: see the trait.
        unsafe { _mm256_fmadd_ps(a, b, sum) }
    }

    #[inline(always)]
    unsafe fn narrow(to: *mut f32, v: __m256) {
        // SAFETY: see the trait.
        unsafe { Lanes8::store(to, v) }
    }

    #[inline(always)]
    unsafe fn narrow_partial(to: *mut f32, v: __m256, count: usize) {
        // SAFETY: see the trait.
        unsafe { Lanes8::store_partial(to, v, count) }
    }
}
