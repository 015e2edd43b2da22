//! The error function and its complement.
//!
//! Below [`SERIES_RANGE`] a series of positive terms, above it the continued fraction of the complement, whose relative
//! accuracy does not suffer where it is tiny.

use super::super::enclosure::Enclosure;
use super::super::round::{mul_up, scale_pow2};
use super::{ODD_RECIPROCALS, centre, underflow};

/// Both methods are sound on either side; here they cost about the same.
const SERIES_RANGE: f64 = 2.5;

/// Where series end: a power of two, well below the rounding errors.
const ACCURACY: i32 = -112;

impl Enclosure {
    /// The error function, `2/√π·∫₀ˣ e^{−t²} dt`.
    #[must_use]
    pub fn erf(&self) -> Self {
        self.monotone(Self::erf_narrow)
    }

    /// The complement 1 − erf(x), with a small relative radius where it is small.
    #[must_use]
    pub fn erfc(&self) -> Self {
        -self.monotone(|x| -x.erfc_narrow())
    }

    fn erf_narrow(self) -> Self {
        if self.hi() >= SERIES_RANGE {
            Self::ONE - self.erfc_narrow()
        } else if self.hi() <= -SERIES_RANGE {
            (-self).erfc_narrow() - Self::ONE
        } else {
            let c = centre(&self);
            let gaussian = gaussian(c);
            (erf_series(c, ACCURACY) * gaussian).widened(moved(gaussian, self.radius()))
        }
    }

    fn erfc_narrow(self) -> Self {
        if self.hi() < SERIES_RANGE {
            return Self::ONE - self.erf_narrow();
        }
        // erfc(x) < e^{−x²}, and e^−783 < 2⁻¹⁰⁷⁴.
        if self.hi() > 28.0 {
            return underflow();
        }
        let c = centre(&self);
        let gaussian = gaussian(c);
        // Enough for 2⁻¹¹²; any number would be sound.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // in 25..=160
        let steps = (24.0 + 850.0 / (self.hi() * self.hi())) as u32;
        let complement = gaussian * complement_fraction(c, steps) / Self::PI.sqrt();
        complement.widened(moved(gaussian, self.radius()))
    }
}

/// e^{−c²}.
fn gaussian(c: Enclosure) -> Enclosure {
    (-c.square()).exp()
}

/// Bounds |erf(c + d) − erf(c)| for |d| ≤ ρ: the slope is 2/√π·e^{−(c+d)²}, which is at most 1.13·e^{2|c|ρ}·e^{−c²}, and
/// below 1.14·e^{−c²} where |c| ≤ 28 and ρ ≤ 2⁻²⁰.
fn moved(gaussian: Enclosure, radius: f64) -> f64 {
    mul_up(mul_up(1.14, gaussian.magnitude()), radius)
}

/// erf(c)·e^{c²} = 2/√π·Σ tₙ with t₀ = c and tₙ = tₙ₋₁·2c²/(2n + 1) (Abramowitz and Stegun 7.1.6).
///
/// The terms have one sign, so nothing cancels. Their ratio decreases; once 2c²/(2n + 1) ≤ 1/2, the terms from tₙ on add up
/// to at most 2|tₙ|. It ends there when that is small, 2^`accuracy` of the sum.
pub(super) fn erf_series(c: Enclosure, accuracy: i32) -> Enclosure {
    let double_square = c.square().mul_pow2(1);
    let (mut term, mut sum) = (c, c);
    for reciprocal in &ODD_RECIPROCALS[1..] {
        let ratio = double_square * *reciprocal;
        term = term * ratio;
        let size = term.magnitude();
        if ratio.magnitude() <= 0.5 && size <= scale_pow2(sum.hi().abs(), accuracy).max(f64::MIN_POSITIVE) {
            return sum.widened(2.0 * size) * (Enclosure::exact(4.0) / Enclosure::PI).sqrt();
        }
        sum = sum + term;
    }
    Enclosure::INVALID
}

/// √π·e^{x²}·erfc(x) at an exact x > 0, as the continued fraction 1/(x + T₁) with Tₙ = (n/2)/(x + Tₙ₊₁).
///
/// Let I₋₁ = 2/√π·e^{−x²} and Iₙ = ∫ₓ^∞ Iₙ₋₁, so that I₀ = erfc(x); all are positive, and Iₙ₋₂ = 2x·Iₙ₋₁ + 2n·Iₙ
/// (Abramowitz and Stegun 7.2.5). Hence Tₙ = n·Iₙ/Iₙ₋₁ satisfies the recursion exactly, and 0 < Tₙ < n/(2x) for every n.
/// The fraction is monotone in any one Tₙ, so its values at both bounds enclose it, however few steps are taken.
pub(super) fn complement_fraction(x: Enclosure, steps: u32) -> Enclosure {
    let half = |n: u32| Enclosure::exact(f64::from(n) / 2.0);
    // T = p/q: the recursion needs no division until the end.
    let evaluate = |start: (Enclosure, Enclosure)| {
        let (p, q) = (1..=steps).rev().fold(start, |(p, q), n| (q * half(n), x * q + p));
        q / (x * q + p)
    };
    let first = evaluate((Enclosure::ZERO, Enclosure::ONE));
    let last = evaluate((half(steps + 1), x));
    first.widened((last - first).magnitude())
}
