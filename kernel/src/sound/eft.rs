//! Error-free transformations (Dekker 1971, Knuth 1969, Veltkamp 1968): the rounding error of one
//! operation, itself as a floating-point number. No fused multiply-add is used, so nothing here
//! depends on the platform's mathematical library.

use super::round::scale_pow2;

/// Veltkamp's constant for binary64, 2²⁷ + 1.
pub const SPLITTER: f64 = 134_217_729.0;

/// Operands up to this magnitude (2⁹⁹⁰) can be [`split`] without overflow.
pub const SPLIT_LIMIT: f64 = f64::from_bits((1023 + 990) << 52);

/// Products at least this large (2⁻⁹⁶⁰) have a residual that no underflow can touch.
pub const PRODUCT_EXACT_ABOVE: f64 = f64::from_bits((1023 - 960) << 52);

const TWO_1000: f64 = f64::from_bits((1023 + 1000) << 52);
const TWO_900: f64 = f64::from_bits((1023 + 900) << 52);
const TWO_600: f64 = f64::from_bits((1023 + 600) << 52);
const TWO_100: f64 = f64::from_bits((1023 + 100) << 52);
const TWO_M100: f64 = f64::from_bits((1023 - 100) << 52);

/// `(s, e)` with `s = fl(a + b)` and `s + e = a + b` exactly, for any order of magnitudes.
///
/// Exact whenever everything stays finite: additions cannot lose anything to underflow. If the
/// sum or an intermediate overflows, `e` is not finite.
#[inline]
#[must_use]
pub fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_part = sum - a;
    let error = (a - (sum - b_part)) + (b - b_part);
    (sum, error)
}

/// [`two_sum`] in three operations; exact when `|a| >= |b|` or `a` is zero, and nothing overflows.
#[inline]
#[must_use]
pub fn fast_two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    (sum, b - (sum - a))
}

/// Veltkamp's splitting: `x = high + low` exactly, `high` with at most 26 significant bits and
/// `low` with at most 26 (it carries a sign), `|low| <= 2⁻²⁶ |x|`.
///
/// Exact, subnormal numbers included, for `|x| <=` [`SPLIT_LIMIT`]; beyond 2⁹⁹⁶ the constant
/// overflows and both parts are not finite.
#[inline]
#[must_use]
pub fn split(x: f64) -> (f64, f64) {
    let scaled = SPLITTER * x;
    let high = scaled - (scaled - x);
    (high, x - high)
}

/// Dekker's residual of `product = fl(a * b)`; exact under the conditions of [`two_prod`].
#[inline]
fn dekker_residual(a: f64, b: f64, product: f64) -> f64 {
    let (a_high, a_low) = split(a);
    let (b_high, b_low) = split(b);
    a_low * b_low - (((product - a_high * b_high) - a_low * b_high) - a_high * b_low)
}

/// `(p, e)` with `p = fl(a * b)` and `a * b = p + e + d`.
///
/// `d = 0` when `a` or `b` is zero or `|p| >=` [`PRODUCT_EXACT_ABOVE`]; otherwise
/// `|d| <= 2⁻¹⁰⁷⁴` (the residual itself underflows). If the product overflows or an operand is
/// not finite, `e` is `NaN`.
#[must_use]
pub fn two_prod(a: f64, b: f64) -> (f64, f64) {
    let product = a * b;
    let size = product.abs();
    if (PRODUCT_EXACT_ABOVE..=TWO_1000).contains(&size) && a.abs() <= SPLIT_LIMIT && b.abs() <= SPLIT_LIMIT {
        return (product, dekker_residual(a, b, product));
    }
    let (residual, shift) = product_residual(a, b, product);
    // |residual·2^-shift| <= ulp(product)/2, so scaling loses at most 2⁻¹⁰⁷⁵ and the rounding of
    // the scaled residual is far smaller still.
    (product, scale_pow2(residual, -shift))
}

/// `(r, k)` with `r·2⁻ᵏ` the residual `a·b − product`, `product = fl(a·b)`, rounded once relative
/// to its own size: `r` has exactly the residual's sign and is zero only if the residual is.
/// `r` is `NaN` if anything is not finite.
pub(super) fn product_residual(a: f64, b: f64, product: f64) -> (f64, i32) {
    if !(a.is_finite() && b.is_finite() && product.is_finite()) {
        return (f64::NAN, 0);
    }
    if a == 0.0 || b == 0.0 {
        return (0.0, 0);
    }
    if product.abs() < PRODUCT_EXACT_ABOVE {
        // One operand at least is below 1. Scaled by 2⁶⁰⁰ each, the product lies between 2⁻⁹⁴⁸
        // and 2²⁴⁰ and neither operand exceeds 2⁶⁰⁰ (one not scaled is below 2¹¹⁵).
        let (a_scaled, a_shift) = if a.abs() < 1.0 { (a * TWO_600, 600) } else { (a, 0) };
        let (b_scaled, b_shift) = if b.abs() < 1.0 { (b * TWO_600, 600) } else { (b, 0) };
        let shift = a_shift + b_shift;
        let scaled = a_scaled * b_scaled;
        let residual = dekker_residual(a_scaled, b_scaled, scaled);
        // Both are within a factor 2 of each other (or the product is 0): exact by Sterbenz.
        let difference = scaled - scale_pow2(product, shift);
        return (difference + residual, shift);
    }
    // The product is above 2¹⁰⁰⁰ or an operand above 2⁹⁹⁰. Bring the larger operand below the
    // splitting limit, with the product where that might overflow on the way (the smaller operand
    // is at least 2⁻¹²⁴ then), otherwise against the smaller operand (at most 2⁻⁹⁰ then).
    let (large, small) = if a.abs() >= b.abs() { (a, b) } else { (b, a) };
    let large = large * TWO_M100;
    if product.abs() > TWO_900 {
        (dekker_residual(large, small, product * TWO_M100), -100)
    } else {
        (dekker_residual(large, small * TWO_100, product), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Rng, absolute, power_of_two, rational};
    use super::*;

    #[test]
    fn two_sum_is_exact() {
        let mut rng = Rng::new(1);
        let mut checked = 0;
        for _ in 0..15_000 {
            let (a, b) = (rng.nasty(), rng.nasty());
            let (s, e) = two_sum(a, b);
            if s.is_finite() && e.is_finite() {
                assert_eq!(rational(s) + rational(e), rational(a) + rational(b), "{a:e} {b:e}");
                checked += 1;
            }
            if a.abs() >= b.abs() {
                let (f, g) = fast_two_sum(a, b);
                assert!(!s.is_finite() || (f, g) == (s, e));
            }
        }
        assert!(checked > 14_000);
    }

    #[test]
    fn overflow_never_yields_a_finite_residual() {
        let (s, e) = two_sum(f64::MAX, f64::MAX);
        assert!(s.is_infinite() && !e.is_finite());
        let (p, e) = two_prod(1e200, 1e200);
        assert!(p.is_infinite() && e.is_nan());
        assert!(two_prod(f64::INFINITY, 0.0).1.is_nan());
        assert!(!split(f64::MAX).1.is_finite());
    }

    #[test]
    fn split_is_exact_and_short() {
        let mut rng = Rng::new(2);
        let trailing = |x: f64| {
            let bits = x.to_bits() & ((1 << 52) - 1);
            if x.is_normal() { bits | 1 << 52 } else { bits }.trailing_zeros()
        };
        for _ in 0..15_000 {
            let x = rng.nasty();
            if x.abs() > SPLIT_LIMIT {
                continue;
            }
            let (high, low) = split(x);
            assert_eq!(rational(high) + rational(low), rational(x));
            assert!(low.abs() <= x.abs() / 67_108_864.0 || x.abs() < 1e-300);
            if high.is_normal() {
                assert!(trailing(high) >= 27, "{x:e}");
            }
            if low.is_normal() {
                assert!(trailing(low) >= 27, "{x:e}");
            }
        }
    }

    #[test]
    fn two_prod_residual_is_exact_or_bounded() {
        let mut rng = Rng::new(3);
        let (mut exact, mut tiny, mut large) = (0, 0, 0);
        for _ in 0..20_000 {
            let (a, b) = (rng.nasty(), rng.nasty());
            let (p, e) = two_prod(a, b);
            if !p.is_finite() {
                assert!(e.is_nan());
                continue;
            }
            let difference = rational(a) * rational(b) - rational(p) - rational(e);
            if p.abs() >= PRODUCT_EXACT_ABOVE || a == 0.0 || b == 0.0 {
                assert_eq!(difference, rational(0.0), "{a:e} {b:e}");
                exact += 1;
                large += usize::from(a.abs().max(b.abs()) > SPLIT_LIMIT);
            } else {
                assert!(absolute(difference) <= power_of_two(-1074), "{a:e} {b:e}");
                let (residual, _) = product_residual(a, b, p);
                let truth = rational(a) * rational(b) - rational(p);
                assert_eq!(residual > 0.0, truth > rational(0.0), "{a:e} {b:e}");
                assert_eq!(residual < 0.0, truth < rational(0.0), "{a:e} {b:e}");
                tiny += 1;
            }
        }
        assert!(exact > 6_000 && tiny > 1_500 && large > 300);
    }
}
