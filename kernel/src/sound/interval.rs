//! Scalar intervals, rounded outward.

use super::enclosure::Enclosure;
use super::round::{add_down, add_up, div_down, div_up, max_or_nan, mul_down, mul_up};

/// The reals from `lower` to `upper`. What is undefined has a NaN or an infinity in it, and stays so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    pub lower: f64,
    pub upper: f64,
}

/// Nothing is known: an overflow, a division by zero, a root of a negative number.
const UNKNOWN: Interval = Interval { lower: f64::NEG_INFINITY, upper: f64::INFINITY };

impl Interval {
    #[inline]
    #[must_use]
    pub const fn new(lower: f64, upper: f64) -> Self {
        Self { lower, upper }
    }

    #[inline]
    #[must_use]
    pub const fn point(value: f64) -> Self {
        Self { lower: value, upper: value }
    }

    #[inline]
    #[must_use]
    pub fn is_finite(self) -> bool {
        self.lower.is_finite() && self.upper.is_finite()
    }

    /// Largest absolute value; NaN if a bound is.
    #[inline]
    #[must_use]
    pub fn magnitude(self) -> f64 {
        max_or_nan(self.lower.abs(), self.upper.abs())
    }

    #[inline]
    #[must_use]
    pub fn contains(self, value: f64) -> bool {
        self.lower <= value && value <= self.upper
    }

    pub(crate) fn hull(self, other: Self) -> Self {
        Self::new(-max_or_nan(-self.lower, -other.lower), max_or_nan(self.upper, other.upper))
    }

    pub(crate) fn max(self, other: Self) -> Self {
        Self::new(max_or_nan(self.lower, other.lower), max_or_nan(self.upper, other.upper))
    }

    pub(crate) fn negated(self) -> Self {
        Self::new(-self.upper, -self.lower)
    }

    pub(crate) fn min(self, other: Self) -> Self {
        self.negated().max(other.negated()).negated()
    }

    pub(crate) fn add(self, other: Self) -> Self {
        Self::new(add_down(self.lower, other.lower), add_up(self.upper, other.upper))
    }

    pub(crate) fn sub(self, other: Self) -> Self {
        self.add(other.negated())
    }

    pub(crate) fn mul(self, other: Self) -> Self {
        let ends = [(self.lower, other.lower), (self.lower, other.upper), (self.upper, other.lower), (self.upper, other.upper)];
        let first = Self::new(mul_down(self.lower, other.lower), mul_up(self.lower, other.lower));
        ends[1..].iter().fold(first, |hull, &(a, b)| hull.hull(Self::new(mul_down(a, b), mul_up(a, b))))
    }

    /// The products of a number with itself.
    pub(crate) fn square(self) -> Self {
        let magnitude = self.magnitude();
        let mignitude = if self.contains(0.0) { 0.0 } else { self.lower.abs().min(self.upper.abs()) };
        Self::new(mul_down(mignitude, mignitude), mul_up(magnitude, magnitude))
    }

    pub(crate) fn div(self, other: Self) -> Self {
        if !(other.lower > 0.0 || other.upper < 0.0) || !self.is_finite() || !other.is_finite() {
            return UNKNOWN;
        }
        let quotient = |a: f64, b: f64| Self::new(div_down(a, b), div_up(a, b));
        let ends = [(self.lower, other.upper), (self.upper, other.lower), (self.upper, other.upper)];
        ends.iter().fold(quotient(self.lower, other.lower), |hull, &(a, b)| hull.hull(quotient(a, b)))
    }

    /// Both ends moved outward.
    pub(crate) fn widened(self, by: f64) -> Self {
        if by == 0.0 { self } else { Self::new(add_down(self.lower, -by), add_up(self.upper, by)) }
    }
}

impl From<Enclosure> for Interval {
    fn from(enclosure: Enclosure) -> Self {
        Self::new(enclosure.lower(), enclosure.upper())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_and_quotients_cover_all_signs() {
        let a = Interval::new(-2.0, 3.0);
        assert_eq!(a.mul(Interval::new(-5.0, 4.0)), Interval::new(-15.0, 12.0));
        assert_eq!(a.square(), Interval::new(0.0, 9.0));
        assert_eq!(a.div(Interval::new(-4.0, -2.0)), Interval::new(-1.5, 1.0));
        assert!(!a.div(a).is_finite());
        assert_eq!(a.sub(Interval::point(1.0)), Interval::new(-3.0, 2.0));
        assert_eq!(a.min(Interval::point(0.0)), Interval::new(-2.0, 0.0));
    }

    #[test]
    fn what_is_not_a_number_stays_so() {
        let nan = Interval::new(f64::NAN, 1.0);
        for result in [nan.add(nan), nan.mul(nan), nan.max(Interval::point(9.0)), nan.hull(Interval::point(0.0)), nan.square()] {
            assert!(!result.is_finite(), "{result:?}");
        }
    }
}
