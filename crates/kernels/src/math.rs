//! Exponential, error function and activations on vectors.

use super::{activation::Activation, simd::Simd};

/// `eˣ` to about 2 units in the last place; inputs below −87.3 give 1e-38, above 88 give 1.65e38, NaN stays NaN.
///
/// Range reduction by multiples of ln 2 in two parts, then the polynomial of Cephes' `expf`.
///
/// # Safety
/// Needs the CPU features of `S`.
#[inline(always)]
pub(crate) unsafe fn exp<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller's contract.
    unsafe {
        let x = S::min(S::splat(88.0), S::max(S::splat(-87.33), x));
        let n = S::round(S::mul(x, S::splat(std::f32::consts::LOG2_E)));
        let r = S::fma(n, S::splat(-0.693_359_4), x);
        let r = S::fma(n, S::splat(2.121_944_4e-4), r);
        let mut p = S::splat(1.987_569_1e-4);
        for c in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
            p = S::fma(p, r, S::splat(c));
        }
        let p = S::fma(S::mul(p, r), r, S::add(r, S::splat(1.0)));
        S::scale_by_power(p, n)
    }
}

/// `x · sigmoid(y)`.
#[inline(always)]
unsafe fn gated<S: Simd>(x: S::V, y: S::V) -> S::V {
    // SAFETY: the caller's contract.
    unsafe {
        let one = S::splat(1.0);
        S::div(x, S::add(one, exp::<S>(S::sub(S::splat(0.0), y))))
    }
}

/// `x · Φ(x)`, the error function after Abramowitz and Stegun 7.1.26 (1.5e-7 absolute).
#[inline(always)]
unsafe fn gelu<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller's contract.
    unsafe {
        let one = S::splat(1.0);
        let z = S::mul(S::abs(x), S::splat(std::f32::consts::FRAC_1_SQRT_2));
        let t = S::div(one, S::fma(z, S::splat(0.327_591_1), one));
        let mut p = S::splat(1.061_405_4);
        for c in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
            p = S::fma(p, t, S::splat(c));
        }
        // 1 − erf(|x|/√2), of which Φ(x) is half, or one minus half.
        let tail = S::mul(S::mul(p, t), exp::<S>(S::sub(S::splat(0.0), S::mul(z, z))));
        let half = S::mul(S::mul(S::abs(x), S::splat(0.5)), tail);
        S::sub(S::max(S::splat(0.0), x), half)
    }
}

/// Applies `activation` to every lane of `x`.
///
/// # Safety
/// Needs the CPU features of `S`.
#[inline(always)]
pub(crate) unsafe fn activate<S: Simd>(activation: Activation, x: S::V) -> S::V {
    // SAFETY: the caller's contract.
    unsafe {
        match activation {
            Activation::QuickGelu => gated::<S>(x, S::mul(x, S::splat(1.702))),
            Activation::Gelu => gelu::<S>(x),
            Activation::GeluTanh => {
                // 1 + tanh(u) = 2 · sigmoid(2u), u = √(2/π) (x + 0.044715 x³)
                let cubic = S::fma(S::mul(x, x), S::splat(0.044_715), S::splat(1.0));
                gated::<S>(x, S::mul(S::mul(x, cubic), S::splat(1.595_769)))
            }
            Activation::Relu => S::max(S::splat(0.0), x),
            Activation::Silu => gated::<S>(x, x),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Tier,
        simd::{Kernel, Task},
        tier::with_kernel,
    };

    struct Apply<'a, K>(Option<Activation>, &'a mut [f32], std::marker::PhantomData<K>);

    impl<K: Kernel> Task for Apply<'_, K> {
        fn run(self) {
            for chunk in self.1.chunks_mut(K::S::LANES) {
                // SAFETY: entered through K::enter; loads and stores stay within the chunk.
                unsafe {
                    let x = K::S::load_partial(chunk.as_ptr(), chunk.len());
                    let y = match self.0 {
                        Some(activation) => activate::<K::S>(activation, x),
                        None => exp::<K::S>(x),
                    };
                    K::S::store_partial(chunk.as_mut_ptr(), y, chunk.len());
                }
            }
        }
    }

    fn apply(tier: Tier, function: Option<Activation>, data: &mut [f32]) {
        // SAFETY: only called for tiers that run here.
        with_kernel!(tier, K => unsafe { K::enter(Apply::<K>(function, data, std::marker::PhantomData)) });
    }

    /// Φ by Simpson's rule.
    fn normal_cdf(x: f64) -> f64 {
        let steps = 2000;
        let h = x / f64::from(steps);
        let f = |t: f64| (-t * t / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let inner: f64 = (1..steps)
            .map(|i| f(f64::from(i) * h) * if i % 2 == 1 { 4.0 } else { 2.0 })
            .sum();
        0.5 + (f(0.0) + inner + f(x)) * h / 3.0
    }

    fn expected(function: Option<Activation>, x: f64) -> f64 {
        let sigmoid = |y: f64| 1.0 / (1.0 + (-y).exp());
        match function {
            None => x.exp(),
            Some(Activation::QuickGelu) => x * sigmoid(1.702 * x),
            Some(Activation::Gelu) => x * normal_cdf(x),
            Some(Activation::GeluTanh) => {
                0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x)).tanh())
            }
            Some(Activation::Relu) => x.max(0.0),
            Some(Activation::Silu) => x * sigmoid(x),
        }
    }

    #[test]
    fn functions_match_f64_on_every_tier() {
        use Activation::{Gelu, GeluTanh, QuickGelu, Relu, Silu};
        for tier in Tier::available() {
            for function in [
                None,
                Some(QuickGelu),
                Some(Gelu),
                Some(GeluTanh),
                Some(Relu),
                Some(Silu),
            ] {
                let inputs: Vec<f32> = (-1200..=1200)
                    .map(|i| i as f32 * 0.01)
                    .chain([-80.0, -30.0, 30.0])
                    .collect();
                let mut outputs = inputs.clone();
                apply(tier, function, &mut outputs);
                for (x, y) in inputs.iter().zip(&outputs) {
                    let want = expected(function, f64::from(*x));
                    let close = (f64::from(*y) - want).abs() <= 1e-6 + 1e-6 * want.abs();
                    assert!(close, "{tier:?} {function:?}({x}) = {y}, expected {want}");
                }
            }
        }
    }

    #[test]
    fn nan_stays_nan() {
        for tier in Tier::available() {
            let mut data = [f32::NAN];
            apply(tier, None, &mut data);
            assert!(data[0].is_nan(), "{tier:?}");
        }
    }
}
