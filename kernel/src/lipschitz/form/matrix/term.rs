//! The terms of the matrix, and the numbers that they are weighted with.
//!
//! A term that is left out must be zero: whether it is, is decided on the factors of its weight, never on their product,
//! which may round to zero while the rows that it multiplies are huge. What is not left out has a normal number as its weight,
//! so that its rounding is relative.
//!
//! Trusted. It must not decide on a product what its factors decide.

use super::MatrixError;
use crate::model::ir::SlopeRange;
use crate::sound::Row;

/// Multipliers, and sums and products of slopes, that are smaller, but not zero, are refused: their products could underflow.
pub(super) const SMALLEST_FACTOR: f64 = 1e-100;

/// A weight of terms: finite and not zero, at least half the square of [`SMALLEST_FACTOR`] in magnitude, and within three
/// roundings, each relative, of the number that it stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Weight(f64);

/// The weights of a group's terms, `λ·(αβ·VᵀV − (α+β)/2·(VᵀY + YᵀV) + YᵀY)`; `None` where the true weight is zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct GroupWeights {
    pub arguments: Option<Weight>,
    pub results: Option<Weight>,
    pub pairs: Option<Weight>,
}

impl Weight {
    pub const MINUS_ONE: Self = Self(-1.0);

    pub const fn value(self) -> f64 {
        self.0
    }

    /// A weight of its own, for tests of what is made of weights.
    #[cfg(test)]
    pub fn exactly(weight: f64) -> Self {
        assert!(weight.abs() >= 0.5 * SMALLEST_FACTOR * SMALLEST_FACTOR && weight.is_finite());
        Self(weight)
    }

    /// The weight of an output's square, which is subtracted; `None` where the number is not positive, not finite or tiny.
    pub fn of_output(weight: f64) -> Option<Self> {
        (weight >= SMALLEST_FACTOR && weight.is_finite()).then_some(Self(-weight))
    }

    /// The weights of a group's terms, whose multiplier is zero or positive.
    pub fn of_group(multiplier: f64, slopes: SlopeRange) -> Result<GroupWeights, MatrixError> {
        let (alpha, beta) = (slopes.lower, slopes.upper);
        let product = if alpha == 0.0 || beta == 0.0 { Factor::Zero } else { Factor::new(alpha * beta)? };
        // A sum of two floats is zero only where the true sum is.
        let sum = if alpha + beta == 0.0 { Factor::Zero } else { Factor::new(alpha + beta)? };
        Ok(GroupWeights {
            arguments: Self::product(multiplier, product)?,
            results: Self::product(multiplier, Factor::Other(1.0))?,
            pairs: Self::product(-0.5 * multiplier, sum)?,
        })
    }

    fn product(multiplier: f64, factor: Factor) -> Result<Option<Self>, MatrixError> {
        match factor {
            Factor::Other(factor) if multiplier != 0.0 => {
                let weight = multiplier * factor;
                if weight.is_finite() { Ok(Some(Self(weight))) } else { Err(MatrixError::Slopes) }
            }
            _ => Ok(None),
        }
    }
}

/// What a multiplier is multiplied with: exactly zero, or one rounding from a number that is not tiny.
#[derive(Clone, Copy)]
enum Factor {
    Zero,
    Other(f64),
}

impl Factor {
    fn new(value: f64) -> Result<Self, MatrixError> {
        // Written so that a NaN is refused.
        if value.abs() >= SMALLEST_FACTOR { Ok(Self::Other(value)) } else { Err(MatrixError::Slopes) }
    }
}

/// `weight·row·rowᵀ`.
pub(super) struct Square<'a> {
    pub weight: Weight,
    pub row: &'a Row,
}

/// `weight·(left·rightᵀ + right·leftᵀ)`.
pub(super) struct Cross<'a> {
    pub weight: Weight,
    pub left: &'a Row,
    pub right: &'a Row,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sound::testing::{RBig, Rng, absolute, power_of_two, rational};

    /// Slopes as they are, without the constructor that moves tiny ends.
    const fn raw(lower: f64, upper: f64) -> SlopeRange {
        SlopeRange { lower, upper }
    }

    #[test]
    fn tiny_sums_and_products_are_refused_and_never_taken_for_zero() {
        for multiplier in [1e-100, 1.0, 1e200] {
            for tiny in [f64::from_bits(1), 1e-310, 1e-224, 1e-101] {
                for slopes in [raw(0.0, tiny), raw(-tiny, 0.0), raw(tiny, tiny), raw(-tiny, 2.0 * tiny), raw(tiny, 1.0)] {
                    let accepted = Weight::of_group(multiplier, slopes);
                    let fine = slopes == raw(1e-101, 1.0);
                    assert_eq!(accepted, Err(MatrixError::Slopes), "{multiplier:e} {slopes:?} {fine}");
                }
            }
        }
        assert_eq!(Weight::of_group(1.0, raw(f64::NAN, 1.0)), Err(MatrixError::Slopes));
        assert_eq!(Weight::of_group(1e200, raw(0.0, 1e200)), Err(MatrixError::Slopes));
        assert_eq!([1e-101, 0.0, -1.0, f64::NAN, f64::INFINITY].map(Weight::of_output), [None; 5]);
    }

    #[test]
    fn what_vanishes_is_left_out() {
        let weights = Weight::of_group(3.0, raw(0.0, 1.0)).unwrap();
        assert_eq!(weights, GroupWeights { arguments: None, results: Some(Weight(3.0)), pairs: Some(Weight(-1.5)) });
        let weights = Weight::of_group(3.0, raw(-2.0, 2.0)).unwrap();
        assert_eq!(weights, GroupWeights { arguments: Some(Weight(-12.0)), results: Some(Weight(3.0)), pairs: None });
        let weights = Weight::of_group(0.0, raw(0.25, 1.0)).unwrap();
        assert_eq!(weights, GroupWeights { arguments: None, results: None, pairs: None });
    }

    /// Whatever the factors: a weight is normal and within three roundings, one that is left out is exactly zero.
    #[test]
    fn weights_are_within_three_roundings_of_what_they_stand_for() {
        let mut random = Rng::new(61);
        let (mut kept, mut refused, mut zero) = (0, 0, 0);
        let half = power_of_two(-1);
        let mut number = |low: i32| match random.below(8) {
            0 => 0.0,
            1 => random.nasty(),
            _ => random.spread(low, 300),
        };
        for _ in 0..100_000 {
            let (a, b) = (number(-1074), number(-300));
            let multiplier = number(-330).abs();
            if !(multiplier == 0.0 || multiplier >= SMALLEST_FACTOR) {
                continue;
            }
            let slopes = raw(a.min(b), a.max(b));
            let Ok(weights) = Weight::of_group(multiplier, slopes) else {
                refused += 1;
                continue;
            };
            let (alpha, beta, lambda) = (rational(slopes.lower), rational(slopes.upper), rational(multiplier));
            for (weight, truth) in [
                (weights.arguments, &lambda * &alpha * &beta),
                (weights.results, lambda.clone()),
                (weights.pairs, -(&lambda * (&alpha + &beta)) * &half),
            ] {
                let Some(weight) = weight else {
                    assert_eq!(truth, RBig::ZERO, "{multiplier:e} {slopes:?}");
                    zero += 1;
                    continue;
                };
                assert!(weight.value().is_normal());
                let error = absolute(rational(weight.value()) - &truth);
                assert!(error <= absolute(truth) * power_of_two(-51), "{multiplier:e} {slopes:?}");
                kept += 1;
            }
        }
        assert!(kept > 50_000 && refused > 10_000 && zero > 5_000, "{kept} {refused} {zero}");
    }
}
