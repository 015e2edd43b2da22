//! Directed scalar operations on `f64` and the constants of rounding analysis.
//!
//! `*_up` returns a number not below the exact result, `*_down` one not above it, each within one
//! unit in the last place: the nearest result is stepped outward only where its residual has the
//! wrong sign. Exact results are therefore returned unchanged. Overflow of finite operands yields
//! the infinity on the rounded side and the largest finite number on the other. `NaN` propagates.

use super::eft::{PRODUCT_EXACT_ABOVE, fast_two_sum, product_residual, two_prod};

/// Unit roundoff of binary64, u = 2⁻⁵³: `|fl(x) − x| <= u |x|` barring under- and overflow.
pub const UNIT_ROUNDOFF: f64 = f64::EPSILON / 2.0;

/// The smallest positive number, η = 2⁻¹⁰⁷⁴. A product or quotient that underflows is off by at
/// most η/2; sums and differences are exact there.
pub const SMALLEST_SUBNORMAL: f64 = f64::from_bits(1);

/// Steps `nearest` up if the residual (exact minus nearest) is positive or unknown.
#[inline]
fn raise(nearest: f64, residual: f64, operands_finite: bool) -> f64 {
    if nearest.is_finite() {
        if residual <= 0.0 { nearest } else { nearest.next_up() }
    } else if operands_finite && nearest == f64::NEG_INFINITY {
        f64::MIN
    } else {
        nearest
    }
}

/// Smallest float not below `a + b`.
#[inline]
#[must_use]
pub fn add_up(a: f64, b: f64) -> f64 {
    // Larger operand first: unlike in TwoSum, no intermediate can overflow unless the sum does.
    let (sum, residual) = if a.abs() >= b.abs() { fast_two_sum(a, b) } else { fast_two_sum(b, a) };
    raise(sum, residual, a.is_finite() && b.is_finite())
}

/// Largest float not above `a + b`.
#[inline]
#[must_use]
pub fn add_down(a: f64, b: f64) -> f64 {
    -add_up(-a, -b)
}

/// Smallest float not below `a - b`.
#[inline]
#[must_use]
pub fn sub_up(a: f64, b: f64) -> f64 {
    add_up(a, -b)
}

/// Largest float not above `a - b`.
#[inline]
#[must_use]
pub fn sub_down(a: f64, b: f64) -> f64 {
    -add_up(-a, b)
}

/// Smallest float not below `a * b`.
#[must_use]
#[inline]
pub fn mul_up(a: f64, b: f64) -> f64 {
    let product = a * b;
    let residual = if product.abs() >= PRODUCT_EXACT_ABOVE { two_prod(a, b).1 } else { product_residual(a, b, product).0 };
    raise(product, residual, a.is_finite() && b.is_finite())
}

/// Largest float not above `a * b`.
#[must_use]
#[inline]
pub fn mul_down(a: f64, b: f64) -> f64 {
    -mul_up(-a, b)
}

/// A float not below `a / b`; the smallest one where `|a| >= 2⁻⁹⁰⁰` and the quotient is normal,
/// else at most one step above it. A number other than zero, divided by a zero of either sign, is bounded by nothing: a zero that
/// was rounded to has no sign to rely on. Zero by zero is NaN.
#[must_use]
#[inline]
pub fn div_up(a: f64, b: f64) -> f64 {
    if b == 0.0 && a != 0.0 && !a.is_nan() {
        return f64::INFINITY;
    }
    let quotient = a / b;
    let operands_finite = a.is_finite() && b.is_finite() && b != 0.0;
    if !operands_finite || a == 0.0 || !quotient.is_finite() {
        return raise(quotient, 0.0, operands_finite);
    }
    let (product, error) = two_prod(quotient, b);
    let exact_transform =
        product.abs() >= PRODUCT_EXACT_ABOVE && quotient.abs() >= f64::MIN_POSITIVE && product.is_finite() && error.is_finite();
    if exact_transform {
        // product is within a few units of a, so a - product is exact; the sign of the
        // difference of two floats is always right.
        let residual = (a - product) - error;
        let signed = if b < 0.0 { -residual } else { residual };
        return raise(quotient, signed, true);
    }
    // Residual unknown: step, but never across zero, since the sign is known.
    if (a < 0.0) == (b < 0.0) { quotient.next_up() } else { quotient.next_up().min(0.0) }
}

/// A float not above `a / b`; see [`div_up`].
#[must_use]
#[inline]
pub fn div_down(a: f64, b: f64) -> f64 {
    -div_up(-a, b)
}

/// The nearest square root and a number with the sign of (exact minus nearest).
fn sqrt_with_residual(x: f64) -> (f64, f64) {
    if x == 0.0 || !x.is_finite() || x < 0.0 {
        return (x.sqrt(), 0.0);
    }
    // Scaled by an even power of two, everything is far from underflow, and the root scales
    // exactly (roots of subnormal numbers are normal).
    let (scaled, back) = if x < scale_pow2(1.0, -900) { (scale_pow2(x, 200), -100) } else { (x, 0) };
    let root = scaled.sqrt();
    let (square, error) = two_prod(root, root);
    (scale_pow2(root, back), (scaled - square) - error)
}

/// Smallest float not below the square root of `x`; `NaN` for negative `x`.
#[must_use]
#[inline]
pub fn sqrt_up(x: f64) -> f64 {
    let (root, residual) = sqrt_with_residual(x);
    raise(root, residual, x.is_finite())
}

/// Largest float not above the square root of `x`; `NaN` for negative `x`.
#[must_use]
#[inline]
pub fn sqrt_down(x: f64) -> f64 {
    let (root, residual) = sqrt_with_residual(x);
    -raise(-root, -residual, x.is_finite())
}

/// The larger of the two; NaN if either is, where `f64::max` would drop it.
#[must_use]
#[inline]
pub fn max_or_nan(a: f64, b: f64) -> f64 {
    if a.is_nan() || a > b { a } else { b }
}

/// Upper bound of a sum, added from the left.
#[must_use]
pub fn sum_up(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().fold(0.0, add_up)
}

/// Upper bound of γₙ = nu/(1 − nu), infinite when nu >= 1 (Higham, *Accuracy and Stability of
/// Numerical Algorithms*, §3.1).
#[must_use]
#[inline]
pub fn gamma(n: usize) -> f64 {
    if n >= 1 << 53 {
        return f64::INFINITY;
    }
    #[allow(clippy::cast_precision_loss)] // exact below 2⁵³
    let nu = n as f64 * UNIT_ROUNDOFF;
    div_up(nu, sub_down(1.0, nu))
}

/// `x · 2ᵏ`: exact unless the result overflows or is subnormal; then at most two roundings, so
/// off by at most 2⁻¹⁰⁷⁴.
#[must_use]
#[inline]
pub fn scale_pow2(x: f64, k: i32) -> f64 {
    let mut value = x;
    let mut left = k;
    // Beyond ±2200 every result is 0 or infinite already.
    left = left.clamp(-2300, 2300);
    while left > 1023 {
        value *= pow2(1023);
        left -= 1023;
    }
    // A step of −969 leaves a number that is still normal, or one whose final result is zero or
    // rounds twice near 2⁻¹⁰⁷⁴.
    while left < -1022 {
        value *= pow2(-969);
        left += 969;
    }
    value * pow2(left)
}

/// 2ᵏ for −1022 <= k <= 1023.
fn pow2(k: i32) -> f64 {
    debug_assert!((-1022..=1023).contains(&k));
    #[allow(clippy::cast_sign_loss)] // in 1..=2046
    f64::from_bits(((k + 1023) as u64) << 52)
}

/// ⌊log₂ x⌋ for a positive finite number.
pub(super) fn binary_exponent(x: f64) -> i32 {
    let field = |value: f64| {
        #[allow(clippy::cast_possible_truncation)] // 11 bits
        let bits = (value.to_bits() >> 52) as i32;
        bits & 0x7ff
    };
    if x >= f64::MIN_POSITIVE { field(x) - 1023 } else { field(x * scale_pow2(1.0, 200)) - 1223 }
}

/// A count as a float, rounded up.
pub(super) fn count(n: usize) -> f64 {
    #[allow(clippy::cast_precision_loss)] // stepped up where inexact
    let value = n as f64;
    if n < 1 << 53 { value } else { value.next_up() }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{RBig, Rng, power_of_two, rational};
    use super::*;

    /// `up` and `down` bracket `truth` as tightly as floats allow.
    fn tight(down: f64, up: f64, truth: &RBig, what: &str) {
        if up.is_finite() {
            assert!(rational(up) >= *truth, "{what}: up {up:e}");
            let below = up.next_down();
            assert!(!below.is_finite() || rational(below) < *truth, "{what}");
        } else {
            assert!(rational(f64::MAX) < *truth && up > 0.0, "{what}");
        }
        if down.is_finite() {
            assert!(rational(down) <= *truth, "{what}: down {down:e}");
            let above = down.next_up();
            assert!(!above.is_finite() || rational(above) > *truth, "{what}");
        } else {
            assert!(rational(f64::MIN) > *truth && down < 0.0, "{what}");
        }
    }

    #[test]
    fn sums_and_products_are_tightly_rounded() {
        let mut rng = Rng::new(4);
        for _ in 0..15_000 {
            let (a, b) = (rng.nasty(), rng.nasty());
            let what = format!("{a:e} {b:e}");
            let (x, y) = (rational(a), rational(b));
            tight(add_down(a, b), add_up(a, b), &(&x + &y), &what);
            tight(sub_down(a, b), sub_up(a, b), &(&x - &y), &what);
            tight(mul_down(a, b), mul_up(a, b), &(&x * &y), &what);
        }
    }

    #[test]
    fn quotients_are_enclosed_and_tight_where_promised() {
        let mut rng = Rng::new(5);
        for _ in 0..15_000 {
            let (a, b) = (rng.nasty(), rng.nasty());
            if b == 0.0 {
                continue;
            }
            let truth = rational(a) / rational(b);
            let (down, up) = (div_down(a, b), div_up(a, b));
            let what = format!("{a:e} {b:e}");
            let quotient = (a / b).abs();
            if a.abs() >= 1e-270 && a.abs() < 1e300 && (1e-300..1e300).contains(&quotient) {
                tight(down, up, &truth, &what);
                continue;
            }
            assert!(up == f64::INFINITY || rational(up) >= truth, "{what}");
            assert!(down == f64::NEG_INFINITY || rational(down) <= truth, "{what}");
            assert!(truth < rational(0.0) || down >= 0.0, "{what}");
            assert!(up.is_infinite() || down.is_infinite() || down.next_up().next_up() >= up);
        }
        for (a, b) in [(1.0, 0.0), (1.0, -0.0), (-1.0, 0.0), (1.0, sub_down(1.0, 1.0)), (f64::INFINITY, -0.0)] {
            assert_eq!((div_up(a, b), div_down(a, b)), (f64::INFINITY, f64::NEG_INFINITY), "{a} / {b}");
        }
        assert!(div_up(0.0, 0.0).is_nan());
        assert_eq!(div_up(6.0, 3.0), 2.0);
        assert_eq!(div_down(1.0, f64::INFINITY), 0.0);
    }

    #[test]
    fn roots_are_tightly_rounded() {
        let mut rng = Rng::new(6);
        for _ in 0..10_000 {
            let a = rng.nasty().abs();
            let x = if rng.below(4) == 0 { f64::from(a as f32).powi(2) } else { a };
            if !x.is_finite() {
                continue;
            }
            let (down, up) = (sqrt_down(x), sqrt_up(x));
            let truth = rational(x);
            assert!(rational(up) * rational(up) >= truth);
            assert!(rational(down) * rational(down) <= truth);
            assert!(up == down || down.next_up() == up);
            let exact = rational(x.sqrt()) * rational(x.sqrt()) == truth;
            assert_eq!(exact, up == down);
        }
        assert!(sqrt_up(-1.0).is_nan() && sqrt_down(f64::NAN).is_nan());
        assert_eq!(sqrt_up(f64::INFINITY), f64::INFINITY);
    }

    #[test]
    fn nan_and_infinities_propagate() {
        for f in [add_up, add_down, sub_up, sub_down, mul_up, mul_down, div_up, div_down] {
            assert!(f(f64::NAN, 1.0).is_nan() && f(1.0, f64::NAN).is_nan());
        }
        assert_eq!(add_up(f64::NEG_INFINITY, 1.0), f64::NEG_INFINITY);
        assert_eq!(add_up(f64::MIN, f64::MIN), f64::MIN);
        assert_eq!(add_down(f64::MIN, f64::MIN), f64::NEG_INFINITY);
        assert_eq!(mul_down(f64::MAX, 2.0), f64::MAX);
        assert!(sum_up([1.0, f64::NAN, 2.0]).is_nan());
        assert!(sum_up([f64::INFINITY, f64::NEG_INFINITY]).is_nan());
    }

    #[test]
    fn gamma_is_an_upper_bound() {
        let u = power_of_two(-53);
        for n in [0_usize, 1, 2, 3, 1000, 123_456_789, 1 << 40, (1 << 53) - 1] {
            let nu = RBig::from(n) * &u;
            let truth = &nu / (RBig::ONE - &nu);
            assert!(rational(gamma(n)) >= truth);
            assert!(rational(gamma(n).next_down().next_down()) <= truth);
        }
        assert_eq!(gamma(0), 0.0);
        assert_eq!(gamma(1 << 53), f64::INFINITY);
        assert_eq!(gamma(usize::MAX), f64::INFINITY);
    }

    #[test]
    fn powers_of_two_scale_exactly_or_within_the_smallest_number() {
        let mut rng = Rng::new(7);
        for _ in 0..5_000 {
            let x = rng.nasty();
            let k = rng.below(4600) as i32 - 2300;
            let scaled = scale_pow2(x, k);
            if !scaled.is_finite() {
                assert!(rational(x.abs()) * power_of_two(k) > rational(f64::MAX));
                continue;
            }
            let error = rational(x) * power_of_two(k) - rational(scaled);
            if scaled.is_normal() {
                assert_eq!(error, RBig::ZERO, "{x:e} {k}");
            } else {
                assert!(super::super::testing::absolute(error) <= power_of_two(-1074));
            }
            if x != 0.0 {
                let e = binary_exponent(x.abs());
                let size = rational(x.abs());
                assert!(power_of_two(e) <= size && size < power_of_two(e + 1));
            }
        }
        assert_eq!(scale_pow2(1.0, i32::MAX), f64::INFINITY);
        assert_eq!(scale_pow2(1.0, i32::MIN), 0.0);
    }
}
