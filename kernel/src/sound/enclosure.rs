//! A real number enclosed by a double-double midpoint and a radius.
//!
//! Errors are measured, not estimated: midpoints are combined by error-free transformations and
//! whatever does not fit into the new midpoint is added to the radius, rounded up. So an operation
//! whose result is representable keeps radius 0, and otherwise the radius grows by about 2⁻¹⁰⁴ of
//! the result's (for sums: the operands') magnitude.

use std::ops::{Add, Div, Mul, Neg, Sub};

use super::eft::{PRODUCT_EXACT_ABOVE, product_residual, two_prod, two_sum};
use super::round::{SMALLEST_SUBNORMAL, add_down, add_up, div_up, mul_up, scale_pow2, sqrt_down, sub_down, sum_up};

/// The reals within `radius` of `hi + lo`.
///
/// Invariants: either all three parts are finite, `radius >= 0` and `hi = fl(hi + lo)` (so
/// `|lo| <= 2⁻⁵³ |hi|`); or the enclosure is *invalid*: `hi = lo = 0`, `radius = +∞`. An invalid
/// operand makes every result invalid. Two enclosures are `==` if they are the same set as stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Enclosure {
    hi: f64,
    lo: f64,
    radius: f64,
}

/// `(p, e, d)`: `a·b = p + e` up to an error of at most `d`; `d = 0` when the residual is proved
/// exact.
fn product_parts(a: f64, b: f64) -> (f64, f64, f64) {
    if a == 0.0 || b == 0.0 {
        return (0.0, 0.0, 0.0);
    }
    let (product, error) = two_prod(a, b);
    if product.abs() >= PRODUCT_EXACT_ABOVE {
        return (product, error, 0.0);
    }
    if product_residual(a, b, product).0 == 0.0 {
        return (product, 0.0, 0.0);
    }
    (product, error, SMALLEST_SUBNORMAL)
}

impl Enclosure {
    /// The exact number 0.
    pub const ZERO: Self = Self::raw(0.0, 0.0, 0.0);
    /// The exact number 1.
    pub const ONE: Self = Self::raw(1.0, 0.0, 0.0);
    /// No information: the result of an undefined operation, overflow or `NaN`.
    pub const INVALID: Self = Self::raw(0.0, 0.0, f64::INFINITY);
    /// π; the midpoint is off by less than 2⁻¹⁰⁷ (3.0e-33), and the radius says 2⁻¹⁰⁶.
    pub const PI: Self = Self::raw(
        f64::from_bits(0x4009_21fb_5444_2d18),
        f64::from_bits(0x3ca1_a626_3314_5c07),
        f64::from_bits((1023 - 106) << 52),
    );
    /// The interval [−1, 1].
    const UNIT_INTERVAL: Self = Self::raw(0.0, 0.0, 1.0);

    const fn raw(hi: f64, lo: f64, radius: f64) -> Self {
        Self { hi, lo, radius }
    }

    /// The number `x` itself; invalid if `x` is not finite.
    #[inline]
    #[must_use]
    pub fn exact(x: f64) -> Self {
        Self::from_parts(x, 0.0, 0.0)
    }

    /// The reals within `radius` of `hi + lo` (any two floats; they are renormalised exactly).
    /// Invalid if a part is not finite or the radius is negative.
    #[inline]
    #[must_use]
    pub fn from_parts(hi: f64, lo: f64, radius: f64) -> Self {
        let (hi, lo) = two_sum(hi, lo);
        if hi.is_finite() && lo.is_finite() && radius.is_finite() && radius >= 0.0 {
            Self::raw(hi, lo, radius)
        } else {
            Self::INVALID
        }
    }

    /// An enclosure of the interval `[lower, upper]`; invalid if it is empty or unbounded.
    #[must_use]
    pub fn from_bounds(lower: f64, upper: f64) -> Self {
        if lower == upper {
            return Self::exact(lower);
        }
        if lower.is_nan() || upper.is_nan() || lower > upper {
            return Self::INVALID;
        }
        let mid = lower / 2.0 + upper / 2.0;
        let radius = add_up(upper, -mid).max(add_up(mid, -lower));
        Self::from_parts(mid, 0.0, radius)
    }

    /// Leading part of the midpoint.
    #[inline]
    #[must_use]
    pub fn hi(&self) -> f64 {
        self.hi
    }

    /// Trailing part of the midpoint, at most 2⁻⁵³ of the leading one.
    #[inline]
    #[must_use]
    pub fn lo(&self) -> f64 {
        self.lo
    }

    /// Radius; `+∞` if invalid.
    #[inline]
    #[must_use]
    pub fn radius(&self) -> f64 {
        self.radius
    }

    /// The midpoint rounded to nearest (0 if invalid).
    #[inline]
    #[must_use]
    pub fn mid(&self) -> f64 {
        self.hi
    }

    /// False if nothing is known about the number.
    #[inline]
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.radius.is_finite()
    }

    /// True if the enclosure is a single number.
    #[inline]
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.radius == 0.0
    }

    /// The number, if the enclosure is a single `f64`.
    #[must_use]
    pub fn to_f64_exact(&self) -> Option<f64> {
        (self.radius == 0.0 && self.lo == 0.0).then_some(self.hi)
    }

    /// Lower bound of every member; −∞ if invalid.
    #[inline]
    #[must_use]
    pub fn lower(&self) -> f64 {
        if self.is_valid() { add_down(self.hi, sub_down(self.lo, self.radius)) } else { f64::NEG_INFINITY }
    }

    /// Upper bound of every member; +∞ if invalid.
    #[inline]
    #[must_use]
    pub fn upper(&self) -> f64 {
        -(-*self).lower()
    }

    /// Upper bound of the absolute value of every member; +∞ if invalid.
    #[inline]
    #[must_use]
    pub fn magnitude(&self) -> f64 {
        self.upper().max(-self.lower())
    }

    /// Lower bound of the absolute value of every member; 0 if the enclosure contains 0 or is
    /// invalid.
    #[must_use]
    pub fn mignitude(&self) -> f64 {
        self.lower().max(-self.upper()).max(0.0)
    }

    /// True if 0 cannot be excluded.
    #[inline]
    #[must_use]
    pub fn contains_zero(&self) -> bool {
        !(self.lower() > 0.0 || self.upper() < 0.0)
    }

    /// The absolute value; an enclosure around 0 becomes one of `[0, magnitude]`.
    #[inline]
    #[must_use]
    pub fn abs(&self) -> Self {
        if self.lower() >= 0.0 {
            *self
        } else if self.upper() <= 0.0 {
            -*self
        } else {
            Self::from_bounds(0.0, self.magnitude())
        }
    }

    /// The same midpoint with a radius larger by `extra` (rounded up).
    #[must_use]
    pub fn widened(&self, extra: f64) -> Self {
        Self::from_parts(self.hi, self.lo, add_up(self.radius, extra))
    }

    /// The midpoint as an exact number.
    fn centre(&self) -> Self {
        Self::from_parts(self.hi, self.lo, if self.is_valid() { 0.0 } else { f64::NAN })
    }

    /// The product with 2ᵏ: exact unless a part under- or overflows (underflow goes into the
    /// radius, overflow invalidates).
    #[must_use]
    pub fn mul_pow2(&self, k: i32) -> Self {
        let k = k.clamp(-2300, 2300);
        let mut radius = scale_pow2(self.radius, k);
        if scale_pow2(radius, -k) != self.radius {
            radius = add_up(radius, SMALLEST_SUBNORMAL);
        }
        let mut part = |x: f64| {
            let scaled = scale_pow2(x, k);
            if scale_pow2(scaled, -k) != x {
                radius = add_up(radius, SMALLEST_SUBNORMAL);
            }
            scaled
        };
        let (hi, lo) = (part(self.hi), part(self.lo));
        Self::from_parts(hi, lo, radius)
    }

    /// The square.
    #[must_use]
    pub fn square(&self) -> Self {
        *self * *self
    }

    /// 1 divided by the number; invalid if 0 cannot be excluded.
    #[must_use]
    pub fn reciprocal(&self) -> Self {
        Self::ONE / *self
    }

    /// The square root; invalid if a negative number cannot be excluded.
    #[must_use]
    pub fn sqrt(&self) -> Self {
        if *self == Self::ZERO {
            return Self::ZERO;
        }
        let lower = self.lower();
        if !self.is_valid() || lower < 0.0 || self.hi <= 0.0 {
            return Self::INVALID;
        }
        // One Newton step from the root of the leading part, then the residual of that.
        let centre = self.centre();
        let start = self.hi.sqrt();
        let rest = centre - Self::exact(start).square();
        let root = Self::from_parts(start, rest.hi / (2.0 * start), 0.0);
        let residual = centre - root.square();
        // For y in [lower, …], |y − root²| <= |residual| + radius and
        // |√y − root| = |y − root²| / (√y + root); root > 0.
        let distance = add_up(residual.magnitude(), self.radius);
        let scale = add_down(root.lower(), sqrt_down(lower));
        if distance == 0.0 {
            return root;
        }
        if scale.is_nan() || scale <= 0.0 {
            return Self::INVALID;
        }
        Self::from_parts(root.hi, root.lo, div_up(distance, scale))
    }

    /// The sine; `[−1, 1]` where the midpoint exceeds 16 in magnitude.
    #[must_use]
    pub fn sin(&self) -> Self {
        self.circular(0)
    }

    /// The cosine; `[−1, 1]` where the midpoint exceeds 16 in magnitude.
    #[must_use]
    pub fn cos(&self) -> Self {
        self.circular(1)
    }

    /// sin(x + quarter·π/2). Evaluates at the midpoint, reduced by a multiple of π/2; the radius is
    /// carried over unchanged, since sine and cosine are 1-Lipschitz.
    fn circular(&self, quarter: i32) -> Self {
        if !self.is_valid() {
            return Self::INVALID;
        }
        if self.hi.abs() > 16.0 {
            return Self::UNIT_INTERVAL;
        }
        // |turns| <= 11, any integer would be sound.
        let turns = (self.hi * std::f64::consts::FRAC_2_PI).round();
        let reduced = self.centre() - Self::PI.mul_pow2(-1) * Self::exact(turns);
        #[allow(clippy::cast_possible_truncation)] // |turns| <= 11
        let quadrant = (turns as i32 + quarter).rem_euclid(4);
        let series = reduced.centre().taylor(quadrant % 2 == 1);
        let signed = if quadrant >= 2 { -series } else { series };
        let result = signed.widened(add_up(reduced.radius, self.radius));
        if result.is_valid() && result.radius <= 1.0 { result } else { Self::UNIT_INTERVAL }
    }

    /// The Taylor series of sine (or cosine) at an exact point. By Lagrange's form the remainder
    /// after the terms of degree below m is at most |x|ᵐ/m!.
    fn taylor(self, cosine: bool) -> Self {
        let minus_square = -self.square();
        let mut term = if cosine { Self::ONE } else { self };
        let mut sum = term;
        let mut degree = if cosine { 0.0 } else { 1.0 };
        // The derivatives of order `degree + 1` vanish at 0, so the next term bounds the remainder.
        for _ in 0..40 {
            term = term * minus_square / Self::exact((degree + 1.0) * (degree + 2.0));
            degree += 2.0;
            let size = term.magnitude();
            if size <= scale_pow2(sum.hi.abs(), -112).max(f64::MIN_POSITIVE) {
                return sum.widened(size);
            }
            sum = sum + term;
        }
        Self::INVALID
    }
}

impl From<f64> for Enclosure {
    fn from(x: f64) -> Self {
        Self::exact(x)
    }
}

impl Neg for Enclosure {
    type Output = Self;

    fn neg(self) -> Self {
        Self::raw(-self.hi, -self.lo, self.radius)
    }
}

impl Add for Enclosure {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        if self.lo == 0.0 && other.lo == 0.0 {
            let (hi, lo) = two_sum(self.hi, other.hi);
            return Self::from_parts(hi, lo, add_up(self.radius, other.radius));
        }
        // Every step is error-free: the exact sum of the midpoints is hi + lo + e2 + e3.
        let (s, t) = two_sum(self.hi, other.hi);
        let (v, w) = two_sum(self.lo, other.lo);
        let (c, e1) = two_sum(t, v);
        let (s, c) = two_sum(s, c);
        let (d, e2) = two_sum(e1, w);
        let (f, e3) = two_sum(c, d);
        let (hi, lo) = two_sum(s, f);
        Self::from_parts(hi, lo, sum_up([self.radius, other.radius, e2.abs(), e3.abs()]))
    }
}

impl Sub for Enclosure {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Mul for Enclosure {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        if !(self.is_valid() && other.is_valid()) {
            return Self::INVALID;
        }
        // (ah + al)(bh + bl) = p + e + q1 + f1 + q2 + f2 + al·bl, up to underflow d.
        let (p, e, d0) = product_parts(self.hi, other.hi);
        if self.lo == 0.0 && other.lo == 0.0 && self.is_exact() && other.is_exact() {
            return Self::from_parts(p, e, d0);
        }
        let (q1, f1, d1) = product_parts(self.hi, other.lo);
        let (q2, f2, d2) = product_parts(self.lo, other.hi);
        let (q, r1) = two_sum(q1, q2);
        let (tail, r2) = two_sum(e, q);
        let (hi, lo) = two_sum(p, tail);
        let lost = mul_up(self.lo.abs(), other.lo.abs());
        let mut radius = sum_up([f1.abs(), f2.abs(), r1.abs(), r2.abs(), lost, d0, d1, d2]);
        // |ab − AB| <= |a||b − B| + |B||a − A|.
        if self.radius > 0.0 || other.radius > 0.0 {
            let spread = add_up(mul_up(self.magnitude(), other.radius), mul_up(other.centre().magnitude(), self.radius));
            radius = add_up(radius, spread);
        }
        Self::from_parts(hi, lo, radius)
    }
}

impl Div for Enclosure {
    type Output = Self;

    fn div(self, other: Self) -> Self {
        if !self.is_valid() || other.contains_zero() {
            return Self::INVALID;
        }
        let (numerator, denominator) = (self.centre(), other.centre());
        let first = self.hi / other.hi;
        let rest = numerator - denominator * Self::exact(first);
        let second = rest.hi / other.hi;
        let rest = rest - denominator * Self::exact(second);
        let third = rest.hi / other.hi;
        let quotient = (Self::exact(first) + Self::exact(second) + Self::exact(third)).centre();
        // A/B − Q = (A − QB)/B, and a/b − A/B = ((a − A) − (A/B)(b − B))/b.
        let residual = (numerator - quotient * denominator).magnitude();
        let mut radius = if residual == 0.0 { 0.0 } else { div_up(residual, denominator.mignitude()) };
        if self.radius > 0.0 || other.radius > 0.0 {
            let ratio = add_up(quotient.magnitude(), radius);
            let moved = add_up(self.radius, mul_up(ratio, other.radius));
            radius = add_up(radius, div_up(moved, other.mignitude()));
        }
        Self::from_parts(quotient.hi, quotient.lo, radius)
    }
}

#[cfg(test)]
mod tests;
