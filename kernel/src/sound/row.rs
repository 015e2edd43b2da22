//! Vectors in double-double with one Euclidean radius: the bulk object of the checker. Their linear
//! combinations are formed by [`RowAccumulator`](super::RowAccumulator).
//!
//! A network's symbolic rows are combinations Σ wₖ·rowₖ through every layer. The midpoints are
//! kept to about 2⁻¹⁰⁰, so that the radius stays far below the slack of a certificate even after
//! dozens of layers; the radius is one number per row, so that it costs nothing per coordinate and
//! grows by weight norms only.

use super::eft::two_sum;
use super::enclosure::Enclosure;
use super::round::{
    SMALLEST_SUBNORMAL, UNIT_ROUNDOFF, add_up, binary_exponent, count, gamma, mul_up, scale_pow2, sqrt_up, sum_up,
};

/// A real vector over coordinates 0, 1, 2, …, zero outside `start..end()`.
///
/// The *true* row is some vector supported on the span with
/// `‖true − (hi + lo)‖₂ <= radius`. Invariants: `hi` and `lo` have equal length; either everything
/// is finite and `|lo[i]| <= 2⁻⁵³ |hi[i]|`, or `radius` is `+∞` and the row says nothing.
#[derive(Clone, Debug)]
pub struct Row {
    start: usize,
    hi: Vec<f64>,
    lo: Vec<f64>,
    radius: f64,
    /// Upper bound of ‖hi‖₂.
    hi_norm: f64,
    /// Upper bound of the true row's Euclidean norm.
    norm: f64,
}

/// Upper bound of the Euclidean norm of `values`; `+∞` if an entry is not finite.
///
/// Scaled so that the largest entry is in [1, 2): the sum of squares S computed in any order has
/// relative error at most γₙ (squares and n − 1 additions of non-negative numbers), and entries
/// whose scaled value or square underflows lose at most 2⁻¹⁰⁷³ each, n·2⁻¹⁰⁷³ <= 2⁻¹⁰⁰⁰.
fn norm_upper(values: &[f64]) -> f64 {
    let mut lanes = [0.0_f64; 8];
    let (chunks, tail) = values.as_chunks::<8>();
    // Non-negative floats order like their bits, and an infinity or NaN sorts above them all.
    let mut largest = [0_u64; 8];
    for chunk in chunks {
        for (best, value) in largest.iter_mut().zip(chunk) {
            *best = (*best).max(value.abs().to_bits());
        }
    }
    let largest = largest.into_iter().chain(tail.iter().map(|value| value.abs().to_bits())).fold(0, u64::max);
    let largest = f64::from_bits(largest);
    if largest == 0.0 {
        return 0.0;
    }
    if !largest.is_finite() {
        return f64::INFINITY;
    }
    let exponent = binary_exponent(largest);
    // Two factors, since one alone may overflow for subnormal input; both products are exact
    // unless the entry becomes negligible.
    let first = scale_pow2(1.0, -(exponent / 2));
    let second = scale_pow2(1.0, exponent / 2 - exponent);
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            let scaled = value * first * second;
            *lane += scaled * scaled;
        }
    }
    let mut sum = 0.0;
    for value in tail {
        let scaled = value * first * second;
        sum += scaled * scaled;
    }
    for lane in lanes {
        sum += lane;
    }
    let slack = mul_up(sum, gamma(values.len() + 8));
    let bound = sum_up([sum, slack, scale_pow2(1.0, -1000)]);
    // γ relates to the exact sum; γ/(1 − γ) <= 2γ relates to the computed one.
    let root = sqrt_up(add_up(bound, slack));
    let result = scale_pow2(root, exponent);
    if result < f64::MIN_POSITIVE { result + SMALLEST_SUBNORMAL } else { result }
}

impl Row {
    /// The zero row, with an empty span.
    #[must_use]
    pub fn zero() -> Self {
        Self::checked(0, Vec::new(), Vec::new(), 0.0)
    }

    /// The row that is 1 at `index` and 0 elsewhere.
    #[must_use]
    pub fn unit(index: usize) -> Self {
        Self::checked(index, vec![1.0], vec![0.0], 0.0)
    }

    /// An exact row with the given values from coordinate `start` on; invalid if one is not finite.
    #[must_use]
    pub fn exact(start: usize, values: Vec<f64>) -> Self {
        let lo = vec![0.0; values.len()];
        Self::checked(start, values, lo, 0.0)
    }

    /// The rows within `radius` of `hi + lo`, which may be any floats (they are renormalised
    /// exactly). Invalid if the lengths differ or anything is not finite.
    #[must_use]
    pub fn from_parts(start: usize, mut hi: Vec<f64>, mut lo: Vec<f64>, radius: f64) -> Self {
        if hi.len() != lo.len() {
            return Self::checked(start, vec![0.0; hi.len()], vec![0.0; hi.len()], f64::NAN);
        }
        for (high, low) in hi.iter_mut().zip(&mut lo) {
            (*high, *low) = two_sum(*high, *low);
        }
        Self::checked(start, hi, lo, radius)
    }

    /// Takes normalised parts; anything not finite makes the radius infinite.
    pub(super) fn checked(start: usize, hi: Vec<f64>, lo: Vec<f64>, radius: f64) -> Self {
        let hi_norm = norm_upper(&hi);
        let usable = hi_norm.is_finite()
            && lo.iter().all(|value| value.is_finite())
            && radius >= 0.0
            && start.checked_add(hi.len()).is_some();
        let radius = if usable { radius } else { f64::INFINITY };
        // ‖hi + lo‖ <= (1 + u)‖hi‖.
        let norm = sum_up([hi_norm, mul_up(hi_norm, UNIT_ROUNDOFF), radius]);
        Self { start, hi, lo, radius, hi_norm, norm }
    }

    /// The same numbers with another radius; an invalid row stays invalid.
    #[must_use]
    pub fn with_radius(self, radius: f64) -> Self {
        let radius = if self.is_valid() { radius } else { f64::NAN };
        Self::checked(self.start, self.hi, self.lo, radius)
    }

    /// First coordinate of the span.
    #[inline]
    #[must_use]
    pub fn start(&self) -> usize {
        self.start
    }

    /// One past the last coordinate of the span.
    #[inline]
    #[must_use]
    pub fn end(&self) -> usize {
        self.start.saturating_add(self.hi.len())
    }

    /// Number of coordinates of the span.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.hi.len()
    }

    /// True for a span without coordinates: the zero row.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hi.is_empty()
    }

    /// Leading parts of the midpoints over the span.
    #[inline]
    #[must_use]
    pub fn hi(&self) -> &[f64] {
        &self.hi
    }

    /// Trailing parts, each at most 2⁻⁵³ of its leading part.
    #[inline]
    #[must_use]
    pub fn lo(&self) -> &[f64] {
        &self.lo
    }

    /// Upper bound of the Euclidean distance of the true row from `hi + lo`; `+∞` if invalid.
    #[inline]
    #[must_use]
    pub fn radius(&self) -> f64 {
        self.radius
    }

    /// False if the row says nothing.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.radius.is_finite()
    }

    /// Upper bound of the true row's Euclidean norm, radius included.
    #[must_use]
    pub fn norm_upper(&self) -> f64 {
        self.norm
    }

    /// Upper bound of `‖hi‖₂`.
    #[must_use]
    pub fn hi_norm_upper(&self) -> f64 {
        self.hi_norm
    }

    /// Upper bound of `‖true − hi‖₂`: the error of using the leading parts alone.
    #[must_use]
    pub fn hi_error_upper(&self) -> f64 {
        add_up(norm_upper(&self.lo), self.radius)
    }

    /// Enclosure of one coordinate of the true row; exactly 0 outside the span.
    #[inline]
    #[must_use]
    pub fn coordinate(&self, index: usize) -> Enclosure {
        match index.checked_sub(self.start) {
            Some(offset) if offset < self.hi.len() => Enclosure::from_parts(self.hi[offset], self.lo[offset], self.radius),
            _ => Enclosure::ZERO,
        }
    }

    /// The row times 2ᵏ: exact unless a part under- or overflows, which widens or invalidates.
    #[must_use]
    pub fn scaled_pow2(&self, k: i32) -> Self {
        let k = k.clamp(-2300, 2300);
        let scale = |values: &[f64], inexact: &mut usize| -> Vec<f64> {
            let scaled = values.iter().map(|&value| scale_pow2(value, k));
            let scaled: Vec<f64> = scaled.collect();
            *inexact += values.iter().zip(&scaled).filter(|&(&value, &new)| scale_pow2(new, -k) != value).count();
            scaled
        };
        let mut inexact = 0;
        let hi = scale(&self.hi, &mut inexact);
        let lo = scale(&self.lo, &mut inexact);
        let mut radius = scale_pow2(self.radius, k);
        if self.radius.is_finite() && scale_pow2(radius, -k) != self.radius {
            radius = add_up(radius, SMALLEST_SUBNORMAL);
        }
        // Each inexact part is off by at most 2⁻¹⁰⁷⁴; the 1-norm bounds the 2-norm.
        radius = add_up(radius, mul_up(SMALLEST_SUBNORMAL, count(inexact)));
        Self::from_parts(self.start, hi, lo, radius)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{RBig, Rng, power_of_two, rational};
    use super::*;

    #[test]
    fn norms_are_upper_bounds_and_close() {
        let mut rng = Rng::new(31);
        for round in 0..1_500 {
            let size = 1 + rng.below(40);
            let values: Vec<f64> = (0..size)
                .map(|_| match round % 4 {
                    0 => rng.nasty(),
                    1 => rng.spread(-1074, -1000),
                    2 => rng.spread(990, 1020),
                    _ => rng.uniform(),
                })
                .collect();
            let square = values.iter().map(|&x| rational(x) * rational(x));
            let truth = square.fold(RBig::ZERO, |a, b| a + b);
            let bound = norm_upper(&values);
            if bound.is_infinite() {
                assert!(truth > power_of_two(2046));
                continue;
            }
            assert!(rational(bound) * rational(bound) >= truth);
            let loose = rational(1.0 + 1e-13) * truth;
            let slightly_less = rational((bound - f64::from_bits(2)).max(0.0));
            assert!(&slightly_less * &slightly_less <= loose, "{values:?}");
        }
        assert_eq!(norm_upper(&[]), 0.0);
        assert_eq!(norm_upper(&[1.0, f64::NAN]), f64::INFINITY);
        assert_eq!(norm_upper(&[f64::NEG_INFINITY]), f64::INFINITY);
    }

    #[test]
    fn scaling_by_powers_of_two() {
        let mut rng = Rng::new(32);
        for _ in 0..500 {
            let hi: Vec<f64> = (0..4).map(|_| rng.nasty()).collect();
            let lo = hi.iter().map(|x| x * 1e-17).collect();
            let row = Row::from_parts(2, hi, lo, rng.below(2) as f64 * 1e-30);
            let k = rng.below(2000) as i32 - 1000;
            let scaled = row.scaled_pow2(k);
            if !scaled.is_valid() || !row.is_valid() {
                continue;
            }
            // ‖true − new midpoint‖ with the true row at the old midpoint moved by the radius.
            let difference = |index: usize| {
                let (old, new) = (row.coordinate(index), scaled.coordinate(index));
                (rational(old.hi()) + rational(old.lo())) * power_of_two(k) - (rational(new.hi()) + rational(new.lo()))
            };
            let moved = rational(row.radius()) * power_of_two(k);
            let total = (2..6).map(|index| super::super::testing::absolute(difference(index))).fold(moved, |a, b| a + b);
            assert!(total <= rational(scaled.radius()));
            if (-20..20).contains(&k) && row.radius() == 0.0 && scaled.radius() == 0.0 {
                assert_eq!(total, RBig::ZERO);
            }
        }
    }

    #[test]
    fn construction() {
        assert_eq!(Row::zero().norm_upper(), 0.0);
        assert!(Row::zero().is_empty());
        let unit = Row::unit(7);
        assert_eq!((unit.start(), unit.end(), unit.len()), (7, 8, 1));
        assert_eq!(unit.coordinate(7).to_f64_exact(), Some(1.0));
        assert_eq!(unit.coordinate(6).to_f64_exact(), Some(0.0));
        assert!(unit.norm_upper() >= 1.0 && unit.norm_upper() < 1.0 + 1e-13);
        // Parts are renormalised: 1 + 1 = 2.
        let row = Row::from_parts(0, vec![1.0], vec![1.0], 0.5);
        assert_eq!((row.hi()[0], row.lo()[0]), (2.0, 0.0));
        assert!(row.hi_error_upper() >= 0.5 && row.norm_upper() >= 2.5);
        for bad in [
            Row::from_parts(0, vec![1.0], vec![], 0.0),
            Row::from_parts(0, vec![1.0], vec![0.0], f64::NAN),
            Row::from_parts(0, vec![1.0], vec![0.0], -1.0),
            Row::from_parts(0, vec![1.0], vec![f64::NAN], 0.0),
            Row::from_parts(0, vec![f64::MAX], vec![f64::MAX], 0.0),
            Row::exact(0, vec![f64::INFINITY]),
            Row::exact(usize::MAX, vec![1.0]),
            Row::exact(0, vec![1.0]).scaled_pow2(1024),
        ] {
            assert!(!bad.is_valid() && bad.norm_upper() == f64::INFINITY);
            assert!(!bad.coordinate(0).is_valid() || bad.start() > 0);
        }
    }
}
