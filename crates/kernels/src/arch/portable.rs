//! Plain Rust that compilers vectorise for whatever the target has: 8 lanes, 4 × 16 register tiles.

use crate::simd::{Kernel, Simd, Task};

/// f32 operands, no special instructions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portable;

/// 8 f32 lanes as an array.
type Eight = [f32; 8];

#[inline(always)]
fn map(a: Eight, f: impl Fn(f32) -> f32) -> Eight {
    std::array::from_fn(|lane| f(a[lane]))
}

#[inline(always)]
fn zip(a: Eight, b: Eight, f: impl Fn(f32, f32) -> f32) -> Eight {
    std::array::from_fn(|lane| f(a[lane], b[lane]))
}

/// `a · b + c`; fused only where that is one instruction and not a library call.
#[inline(always)]
fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(any(target_arch = "aarch64", target_feature = "fma")) {
        a.mul_add(b, c)
    } else {
        a * b + c
    }
}

// SAFETY (all blocks): the caller holds the trait's contract, that is valid pointers.
impl Simd for Portable {
    type V = Eight;
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Eight {
        [x; 8]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Eight {
        // SAFETY: see the trait.
        unsafe { from.cast::<Eight>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn load_partial(from: *const f32, count: usize) -> Eight {
        // SAFETY: see the trait.
        unsafe { Self::load_partial_or(from, count, [0.0; 8]) }
    }

    #[inline(always)]
    unsafe fn load_partial_or(from: *const f32, count: usize, other: Eight) -> Eight {
        let mut v = other;
        for (lane, x) in v.iter_mut().enumerate().take(count) {
            // SAFETY: see the trait; only the first `count` are read.
            *x = unsafe { *from.add(lane) };
        }
        v
    }

    #[inline(always)]
    unsafe fn keep(v: Eight, count: usize) -> Eight {
        std::array::from_fn(|lane| if lane < count { v[lane] } else { 0.0 })
    }

    #[inline(always)]
    unsafe fn prefetch(_at: *const f32) {}

    #[inline(always)]
    unsafe fn store(to: *mut f32, v: Eight) {
        // SAFETY: see the trait.
        unsafe { to.cast::<Eight>().write_unaligned(v) }
    }

    #[inline(always)]
    unsafe fn store_partial(to: *mut f32, v: Eight, count: usize) {
        for (lane, x) in v.into_iter().enumerate().take(count) {
            // SAFETY: see the trait; only the first `count` are written.
            unsafe { *to.add(lane) = x }
        }
    }

    #[inline(always)]
    unsafe fn add(a: Eight, b: Eight) -> Eight {
        zip(a, b, |a, b| a + b)
    }

    #[inline(always)]
    unsafe fn sub(a: Eight, b: Eight) -> Eight {
        zip(a, b, |a, b| a - b)
    }

    #[inline(always)]
    unsafe fn mul(a: Eight, b: Eight) -> Eight {
        zip(a, b, |a, b| a * b)
    }

    #[inline(always)]
    unsafe fn div(a: Eight, b: Eight) -> Eight {
        zip(a, b, |a, b| a / b)
    }

    #[inline(always)]
    unsafe fn fma(a: Eight, b: Eight, c: Eight) -> Eight {
        std::array::from_fn(|lane| multiply_add(a[lane], b[lane], c[lane]))
    }

    #[inline(always)]
    unsafe fn max(a: Eight, b: Eight) -> Eight {
        zip(a, b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    unsafe fn min(a: Eight, b: Eight) -> Eight {
        zip(a, b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    unsafe fn abs(a: Eight) -> Eight {
        map(a, f32::abs)
    }

    #[inline(always)]
    unsafe fn round(a: Eight) -> Eight {
        // Adding 1.5 · 2²³ leaves no room for a fraction; enough for |a| < 2²², which is all that is asked.
        const SHIFT: f32 = 12_582_912.0;
        map(a, |a| (a + SHIFT) - SHIFT)
    }

    #[inline(always)]
    unsafe fn scale_by_power(a: Eight, n: Eight) -> Eight {
        zip(a, n, |a, n| a * f32::from_bits(((n as i32 + 127) as u32) << 23))
    }

    #[inline(always)]
    unsafe fn sum(a: Eight) -> f32 {
        (a[0] + a[4]) + (a[1] + a[5]) + (a[2] + a[6]) + (a[3] + a[7])
    }

    #[inline(always)]
    unsafe fn largest(a: Eight) -> f32 {
        a.into_iter().fold(f32::NEG_INFINITY, f32::max)
    }
}

impl Kernel for Portable {
    type S = Self;
    type Elem = f32;
    type Groups = Eight;
    const ROWS: usize = 4;

    #[inline(always)]
    unsafe fn enter<T: Task>(task: T) {
        task.run();
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Eight {
        // SAFETY: see the trait.
        unsafe { <Self as Simd>::load(from) }
    }

    #[inline(always)]
    unsafe fn broadcast(from: *const f32) -> Eight {
        // SAFETY: see the trait.
        [unsafe { *from }; 8]
    }

    #[inline(always)]
    unsafe fn dot(sum: Eight, a: Eight, b: Eight) -> Eight {
        // SAFETY: see the trait.
        unsafe { <Self as Simd>::fma(a, b, sum) }
    }

    #[inline(always)]
    unsafe fn narrow(to: *mut f32, v: Eight) {
        // SAFETY: see the trait.
        unsafe { <Self as Simd>::store(to, v) }
    }

    #[inline(always)]
    unsafe fn narrow_partial(to: *mut f32, v: Eight, count: usize) {
        // SAFETY: see the trait.
        unsafe { <Self as Simd>::store_partial(to, v, count) }
    }
}
