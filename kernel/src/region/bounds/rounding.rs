//! What the deployed network may lose by rounding to float32.
//!
//! The model of [`Semantics::Float32`]: weights are the numbers of the file (rounded to float32 where they are not), inputs
//! are float32 numbers of the region, and every operator is evaluated in float32,
//!
//! - sums of products in any order, fused or not: an output of `n` terms is off by at most `γ_{n+8}·Σ|w||x|`,
//!   `γ_n = nu/(1 − nu)`, `u = 2⁻²⁴`; Winograd and Fourier transforms and products in reduced precision (TF32) are *not*
//!   covered;
//! - sums of two tensors, biases among them, are off by at most `γ_{n+8}(|a| + |b|)` with the `n` of the network's longest
//!   product: a runtime may start from the bias, or add it again and again;
//! - elementwise arithmetic is off by at most `8u` of the operands' magnitudes (not the result's), which covers the scale
//!   and the shift of a normalisation folded into the affine operator *before* it, computed in float32;
//! - library functions are off by at most 2⁻²⁰ of one plus their value (measured for common runtimes: below 2⁻²¹);
//! - every result may be flushed to zero where it is subnormal: 2⁻¹²⁶ per term; inputs and constants that are subnormal count
//!   as they stand (a processor that reads them as zero is *not* covered);
//! - nothing overflows: a sum whose terms could pass 10³⁰ is refused.
//!
//! Comparisons, maxima, sorts and movements of elements do not round.

use super::error::Reason;
use crate::model::ir::Function;
use crate::proof::Semantics;
use crate::sound::Interval;
use crate::sound::round::{add_up, div_up, mul_up, sub_down, sum_up};

/// Unit roundoff of float32.
const UNIT: f64 = 1.0 / (1u32 << 24) as f64;
/// Relative error of elementwise arithmetic, and terms added to every sum: room for folded scales.
const SLACK: usize = 8;
/// Error of library functions, 2⁻²⁰.
const LIBRARY: f64 = 1.0 / (1u32 << 20) as f64;
/// Smallest normal float32: what flushing to zero may lose.
const FLUSH: f64 = f32::MIN_POSITIVE as f64;
/// Magnitudes above are refused.
const LARGEST: f64 = 1e30;

/// The error terms of one semantics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rounding {
    pub semantics: Semantics,
    /// The most terms of any product of the network: a sum that follows one may be part of it.
    pub longest: usize,
}

impl Rounding {
    pub fn is_exact(self) -> bool {
        self.semantics == Semantics::Real
    }

    /// The growth `g` and the shift `t` of a sum of `n` products: it is off by at most `g·Σ|w||x| + t`.
    pub fn sum(self, terms: usize) -> Result<(f64, f64), Reason> {
        if self.is_exact() {
            return Ok((0.0, 0.0));
        }
        let n = (terms + SLACK) as f64;
        let nu = n * UNIT;
        if nu >= 0.5 {
            return Err(Reason::TooManyTerms);
        }
        Ok((div_up(nu, sub_down(1.0, nu)), n * FLUSH))
    }

    /// What the sum of two numbers of this total magnitude is off by. A bias, or what is added to a product, may be the first
    /// of the product's terms or be added between any two of them, so it may be rounded as often as they are.
    pub fn addition(self, magnitude: f64) -> f64 {
        match self.sum(self.longest) {
            Ok((growth, shift)) => add_up(mul_up(growth, magnitude), shift),
            Err(_) => f64::INFINITY,
        }
    }

    /// What an elementwise operation on terms of this total magnitude is off by.
    pub fn elementwise(self, magnitude: f64) -> f64 {
        if self.is_exact() { 0.0 } else { add_up(mul_up(SLACK as f64 * UNIT, magnitude), SLACK as f64 * FLUSH) }
    }

    /// Whether this magnitude is beyond what is known not to overflow.
    pub fn overflows(self, magnitude: f64) -> bool {
        if self.is_exact() { !magnitude.is_finite() } else { magnitude.is_nan() || magnitude > LARGEST }
    }

    /// What a function with arguments in `x` and values in `y` is off by.
    pub fn function(self, function: &Function, x: Interval, y: Interval) -> f64 {
        if self.is_exact() {
            return 0.0;
        }
        let library = |terms: &[f64]| mul_up(LIBRARY, sum_up(terms.iter().copied()));
        let (x, y) = (x.magnitude(), y.magnitude());
        match *function {
            Function::Neg | Function::Abs | Function::Relu | Function::Clip { .. } => 0.0,
            Function::Sign | Function::Floor | Function::Round => 0.0,
            Function::LeakyRelu { .. } | Function::Sqrt => self.elementwise(y),
            Function::HardSigmoid { alpha, beta } => self.elementwise(add_up(mul_up(alpha.abs(), x), beta.abs())),
            Function::HardSwish => self.elementwise(mul_up(2.0, x)),
            Function::Sigmoid | Function::Tanh | Function::Erf | Function::Softsign | Function::Sin | Function::Cos => LIBRARY,
            Function::Exp | Function::Log | Function::Softplus => library(&[y, 1.0]),
            Function::Elu { alpha } => library(&[y, alpha.abs()]),
            Function::Selu { alpha, gamma } => {
                let steepest = mul_up(alpha.abs(), gamma.abs());
                library(&[y, steepest, steepest])
            }
            Function::Celu { alpha } => library(&[y, alpha.abs(), x]),
            Function::Gelu | Function::GeluTanh | Function::ErfGate { .. } => library(&[x, x, x, x, 1.0]),
            Function::TanhGate { .. } | Function::Silu | Function::Mish => library(&[x, x, x, x, 1.0]),
        }
    }

    /// How far from its own line an argument may lie where it is computed: see [`Rounding::argument`].
    pub fn flushed(self, function: &Function) -> f64 {
        if self.is_exact() || !function.jumps() { 0.0 } else { FLUSH }
    }

    /// Where the argument of a function that jumps, at zero for one, may be when it is computed: a subnormal number may count as zero there.
    pub fn argument(self, function: &Function, x: Interval) -> Interval {
        if self.is_exact() || !function.jumps() { x } else { x.widened(FLUSH) }
    }

    /// The error of an entry of a softmax over `n` numbers that span `spread`.
    ///
    /// `e^{x−max}` is off by a relative `2⁻²⁰ + u·spread`, the sum of `n` of them by as much and `γ_{n+8}`, and the quotient
    /// is at most one.
    pub fn softmax(self, n: usize, spread: f64) -> Result<f64, Reason> {
        let (growth, shift) = self.sum(n)?;
        if self.is_exact() {
            return Ok(0.0);
        }
        let power = add_up(LIBRARY, mul_up(2.0 * UNIT, spread));
        let relative = sum_up([power, power, growth, SLACK as f64 * UNIT]);
        if relative < 0.25 { Ok(add_up(mul_up(2.0, relative), shift)) } else { Ok(1.0) }
    }

    /// A constant of the file as the deployed network has it.
    pub fn constant(self, value: f64) -> Interval {
        let exact = Interval::point(value);
        if self.is_exact() || f64::from(value as f32) == value { exact } else { exact.widened(self.elementwise(value.abs())) }
    }
}
