//! Quotients of integers, for coordinates and weights that must not be rounded.

/// A quotient in lowest terms with a positive denominator. Whatever would not fit is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ratio {
    pub numerator: i128,
    pub denominator: i128,
}

/// Parts stay below this, so that no product of two of them overflows.
const LARGEST: i128 = 1 << 62;

impl Ratio {
    pub const ONE: Self = Self { numerator: 1, denominator: 1 };

    pub fn new(numerator: i128, denominator: i128) -> Option<Self> {
        let divisor = greatest_common_divisor(numerator, denominator);
        if denominator == 0 || divisor == 0 {
            return None;
        }
        let divisor = if denominator < 0 { -divisor } else { divisor };
        let reduced = Self { numerator: numerator / divisor, denominator: denominator / divisor };
        (reduced.numerator.abs() < LARGEST && reduced.denominator < LARGEST).then_some(reduced)
    }

    /// The exact value of a number with a short binary fraction.
    pub fn of(value: f64) -> Option<Self> {
        let scaled = value * 4_294_967_296.0;
        #[allow(clippy::cast_possible_truncation)] // an integer below 2⁶²
        let whole = (scaled.abs() < 4e18 && scaled.fract() == 0.0).then_some(scaled as i128)?;
        Self::new(whole, 1 << 32)
    }

    /// Whether float32 holds it.
    pub fn is_single(self) -> bool {
        let odd = self.numerator.unsigned_abs() >> self.numerator.trailing_zeros().min(127);
        self.denominator.count_ones() == 1 && odd < 1 << 24
    }

    pub fn plus(self, other: Self) -> Option<Self> {
        let (a, b) = (self.numerator.checked_mul(other.denominator)?, other.numerator.checked_mul(self.denominator)?);
        Self::new(a.checked_add(b)?, self.denominator.checked_mul(other.denominator)?)
    }

    pub fn minus(self, other: Self) -> Option<Self> {
        self.plus(Self { numerator: -other.numerator, ..other })
    }

    pub fn by(self, other: Self) -> Option<Self> {
        Self::new(self.numerator.checked_mul(other.numerator)?, self.denominator.checked_mul(other.denominator)?)
    }

    pub fn over(self, other: Self) -> Option<Self> {
        Self::new(self.numerator.checked_mul(other.denominator)?, self.denominator.checked_mul(other.numerator)?)
    }

    pub fn times(self, factor: i128) -> Option<Self> {
        Self::new(self.numerator.checked_mul(factor)?, self.denominator)
    }

    #[allow(clippy::unnecessary_wraps)] // it ends chains of operations that may fail
    pub fn floor(self) -> Option<i128> {
        Some(self.numerator.div_euclid(self.denominator))
    }

    pub fn ceil(self) -> Option<i128> {
        self.floor().map(|floor| floor + i128::from(self.denominator != 1))
    }

    /// The nearest number from 0 to `most`.
    pub fn clamped(self, most: i128) -> Option<Self> {
        if self.numerator < 0 {
            Self::new(0, 1)
        } else if self.floor()? >= most {
            Self::new(most, 1)
        } else {
            Some(self)
        }
    }

    /// The least common multiple of a number and the denominator.
    pub fn common_denominator(self, other: i128) -> Option<i128> {
        (other / greatest_common_divisor(other, self.denominator)).checked_mul(self.denominator)
    }
}

fn greatest_common_divisor(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a.saturating_abs(), b.saturating_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotients_are_exact_or_none() {
        let ratio = |a, b| Ratio::new(a, b).unwrap();
        assert_eq!(ratio(2, -4), Ratio { numerator: -1, denominator: 2 });
        assert_eq!(ratio(1, 2).plus(ratio(1, 3)), Some(ratio(5, 6)));
        assert_eq!(ratio(1, 2).minus(ratio(1, 3)), Some(ratio(1, 6)));
        assert_eq!(ratio(-1, 2).by(ratio(2, 3)).and_then(|r| r.over(ratio(1, 6))), Some(ratio(-2, 1)));
        assert_eq!((ratio(-1, 2).floor(), ratio(-1, 2).ceil(), ratio(3, 1).ceil()), (Some(-1), Some(0), Some(3)));
        assert_eq!(Ratio::of(0.75), Some(ratio(3, 4)));
        assert_eq!((Ratio::of(1e-20), Ratio::of(f64::NAN), Ratio::of(f64::INFINITY), Ratio::new(1, 0)), (None, None, None, None));
        assert!(ratio(3, 8).is_single() && !ratio(1, 3).is_single() && !ratio((1 << 24) + 1, 1).is_single());
        assert_eq!(ratio(1, i128::from(u64::MAX >> 3)).by(ratio(1, 1 << 40)), None);
        assert_eq!((ratio(-1, 2).clamped(3), ratio(7, 2).clamped(3)), (Some(ratio(0, 1)), Some(ratio(3, 1))));
        assert_eq!(ratio(1, 6).common_denominator(4), Some(12));
    }
}
