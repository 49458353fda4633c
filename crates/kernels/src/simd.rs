//! What a tier of instructions offers: f32 lanes, the operand format of matrix products, and their inner step.
//!
//! Kernels are written once, generic over [`Kernel`], with every function `#[inline(always)]` down to the
//! intrinsics. Only [`Kernel::enter`] switches the instructions on: code inlined into it is compiled for them.

/// A piece of work to run with a kernel's instructions switched on.
pub(crate) trait Task {
    /// Does the work. Implementations are `#[inline(always)]`, so that they are compiled inside
    /// [`Kernel::enter`].
    fn run(self);
}

/// The format that operands of matrix products are stored in.
pub(crate) trait Elem: Copy + Send + Sync + PartialEq + std::fmt::Debug + 'static {
    /// Neighbours along the inner dimension that one step multiplies; a group is always four bytes.
    const GROUP: usize;
    /// Zero.
    const ZERO: Self;
    /// Rounds to nearest, ties to even.
    fn from_f32(x: f32) -> Self;
    /// Back to f32, exactly.
    fn to_f32(self) -> f32;
    /// A whole number of −128..=127, exactly.
    fn from_small(x: i16) -> Self;
}

impl Elem for f32 {
    const GROUP: usize = 1;
    const ZERO: Self = 0.0;

    #[inline(always)]
    fn from_f32(x: f32) -> Self {
        x
    }

    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }

    #[inline(always)]
    fn from_small(x: i16) -> Self {
        f32::from(x)
    }
}

impl Elem for half::bf16 {
    const GROUP: usize = 2;
    const ZERO: Self = Self::ZERO;

    #[inline(always)]
    fn from_f32(x: f32) -> Self {
        Self::from_f32(x)
    }

    #[inline(always)]
    fn to_f32(self) -> f32 {
        self.to_f32()
    }

    #[inline(always)]
    fn from_small(x: i16) -> Self {
        // 8 significant bits: the upper half of the f32 holds all of it.
        Self::from_bits((f32::from(x).to_bits() >> 16) as u16)
    }
}

/// Operations on a vector of f32 lanes.
///
/// # Safety
/// Every method needs the CPU features of its tier; those with pointers need `LANES` (or `count`) valid elements
/// behind them. Alignment is never required.
pub(crate) trait Simd: Copy + Send + Sync + 'static {
    /// A vector.
    type V: Copy;
    /// f32 values in a vector.
    const LANES: usize;

    unsafe fn splat(x: f32) -> Self::V;
    unsafe fn load(from: *const f32) -> Self::V;
    /// The first `count` lanes, `count <= LANES`; the others are zero.
    unsafe fn load_partial(from: *const f32, count: usize) -> Self::V;
    /// The first `count` lanes, `count <= LANES`; the others from `other`.
    unsafe fn load_partial_or(from: *const f32, count: usize, other: Self::V) -> Self::V;
    /// The first `count` lanes of `v`, `count <= LANES`; the others are zero.
    unsafe fn keep(v: Self::V, count: usize) -> Self::V;
    /// Asks for a cache line that will be written soon; any address will do.
    unsafe fn prefetch(at: *const f32);
    unsafe fn store(to: *mut f32, v: Self::V);
    /// Writes the first `count` lanes, `count <= LANES`.
    unsafe fn store_partial(to: *mut f32, v: Self::V, count: usize);
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    /// `a · b + c`, fused where the tier can.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn abs(a: Self::V) -> Self::V;
    /// To the nearest integer.
    unsafe fn round(a: Self::V) -> Self::V;
    /// `a · 2ⁿ` for whole `n` in −126..=127.
    unsafe fn scale_by_power(a: Self::V, n: Self::V) -> Self::V;
    /// The sum of all lanes.
    unsafe fn sum(a: Self::V) -> f32;
    /// The largest lane.
    unsafe fn largest(a: Self::V) -> f32;
}

/// A tier's inner step of a matrix product, and its entry.
///
/// # Safety
/// As for [`Simd`].
pub(crate) trait Kernel: Copy + Send + Sync + 'static {
    /// The f32 lanes of accumulators and activations.
    type S: Simd;
    /// The operands' format.
    type Elem: Elem;
    /// A vector of operand groups, one for each lane.
    type Groups: Copy;
    /// Most rows of a register tile.
    const ROWS: usize;

    /// Runs `task` with the tier's instructions switched on.
    unsafe fn enter<T: Task>(task: T);
    /// Loads `LANES` groups.
    unsafe fn load(from: *const Self::Elem) -> Self::Groups;
    /// Loads one group into every lane.
    unsafe fn broadcast(from: *const Self::Elem) -> Self::Groups;
    /// Adds the products of both groups to each lane of `sum`.
    unsafe fn dot(sum: <Self::S as Simd>::V, a: Self::Groups, b: Self::Groups) -> <Self::S as Simd>::V;
    /// Converts and writes `LANES` values.
    unsafe fn narrow(to: *mut Self::Elem, v: <Self::S as Simd>::V);
    /// Converts and writes the first `count <= LANES` values.
    unsafe fn narrow_partial(to: *mut Self::Elem, v: <Self::S as Simd>::V, count: usize);
}

/// Vectors across a register tile.
pub(crate) const VECTORS: usize = 2;

/// Columns of a register tile, and of a panel of packed weights.
pub(crate) const fn columns<K: Kernel>() -> usize {
    VECTORS * K::S::LANES
}
