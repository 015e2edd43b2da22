//! The elementary functions that activations are made of, on enclosures: eˣ, eˣ − 1, ln(1 + x), tanh, the logistic
//! function, softplus, tanh ∘ softplus. The error function is in `erf`.
//!
//! Every function here is monotone. Where the argument's radius is at most 2⁻²⁰, a function is evaluated at the midpoint
//! and the radius carried over by a bound on the derivative (or by the enclosure arithmetic); wider arguments are
//! evaluated at both ends. Series are cut off with a bound on the remainder that holds on the whole reduced range; the
//! range is checked, so a wrong reduction ends as an invalid enclosure.
//!
//! At exact arguments up to 50 in magnitude the radius is at most 2⁻⁹⁷ of the value, 2⁻⁹⁰ for erfc where it does not
//! underflow (tested, not proved). Where eˣ underflows it is enclosed in `[−η, η]`, η = 2⁻¹⁰⁷⁴; where it overflows it is
//! invalid; bounded functions saturate.

mod erf;

use std::sync::LazyLock;

use super::enclosure::Enclosure;
use super::round::{SMALLEST_SUBNORMAL, add_down, add_up, binary_exponent, div_up, mul_up, scale_pow2, sub_down};

/// Arguments with a larger radius (2⁻²⁰) are evaluated at both ends.
const NARROW: f64 = f64::from_bits((1023 - 20) << 52);

/// Terms of the series for eᶜ − 1 (3/8 bounds |c| there).
const EXP_TERMS: usize = 24;
const EXP_RANGE: f64 = 0.375;
/// Bounds `2·(3/8)²⁴/25!`, which is below 2^−116.6.
const EXP_REMAINDER: f64 = f64::from_bits((1023 - 116) << 52);

/// Terms of the series for `2·artanh(z)` (3/16 bounds |z| there).
const ARTANH_TERMS: usize = 23;
const ARTANH_RANGE: f64 = 0.1875;
/// Bounds `2·z⁴⁶/(47·(1 − z²))` for `z = 3/16`, which is below 2^−115.5.
const ARTANH_REMAINDER: f64 = f64::from_bits((1023 - 115) << 52);

/// `1/n!` for n ≤ [`EXP_TERMS`].
static INVERSE_FACTORIALS: LazyLock<[Enclosure; EXP_TERMS + 1]> = LazyLock::new(|| {
    let mut inverse = Enclosure::ONE;
    let mut next = 0.0;
    std::array::from_fn(|_| {
        let current = inverse;
        next += 1.0;
        inverse = current / Enclosure::exact(next);
        current
    })
});

/// `1/(2n + 1)`; as many as the longest series needs.
static ODD_RECIPROCALS: LazyLock<[Enclosure; 80]> = LazyLock::new(|| {
    let mut odd = -1.0;
    std::array::from_fn(|_| {
        odd += 2.0;
        Enclosure::exact(odd).reciprocal()
    })
});

/// ln 2; the midpoint is off by less than 2⁻¹¹⁰, and the radius says 2⁻¹¹⁰.
fn ln_2() -> Enclosure {
    let (hi, lo) = (f64::from_bits(0x3fe6_2e42_fefa_39ef), f64::from_bits(0x3c7a_bc9e_3b39_803f));
    Enclosure::from_parts(hi, lo, scale_pow2(1.0, -110))
}

/// The midpoint as an exact number.
fn centre(x: &Enclosure) -> Enclosure {
    if x.is_valid() { Enclosure::from_parts(x.hi(), x.lo(), 0.0) } else { Enclosure::INVALID }
}

/// `[−η, η]`: what underflow leaves of a positive number.
fn underflow() -> Enclosure {
    Enclosure::ZERO.widened(SMALLEST_SUBNORMAL)
}

/// Bounds |eᵈ − 1| for |d| ≤ ρ: `e^ρ − 1 ≤ ρ/(1 − ρ)` for ρ < 1, since `e^−ρ ≥ 1 − ρ`.
fn growth(radius: f64) -> f64 {
    if radius < 1.0 { div_up(radius, sub_down(1.0, radius)) } else { f64::INFINITY }
}

impl Enclosure {
    /// eˣ; invalid where it overflows.
    #[must_use]
    pub fn exp(&self) -> Self {
        self.monotone(Self::exp_narrow)
    }

    /// eˣ − 1, accurate near 0; invalid where it overflows.
    #[must_use]
    pub fn exp_m1(&self) -> Self {
        self.monotone(Self::exp_m1_narrow)
    }

    /// ln(1 + x), accurate near 0; invalid if `x ≤ −1` cannot be excluded from its lower bound in `f64`.
    #[must_use]
    pub fn ln_1p(&self) -> Self {
        self.monotone(Self::ln_1p_narrow)
    }

    /// ln x; invalid unless the argument is certainly positive.
    #[must_use]
    pub fn ln(&self) -> Self {
        self.monotone(Self::ln_narrow)
    }

    /// The hyperbolic tangent.
    #[must_use]
    pub fn tanh(&self) -> Self {
        self.monotone(Self::tanh_narrow)
    }

    /// The logistic function `1/(1 + e⁻ˣ)`.
    #[must_use]
    pub fn sigmoid(&self) -> Self {
        self.monotone(Self::sigmoid_narrow)
    }

    /// `ln(1 + eˣ)`.
    #[must_use]
    pub fn softplus(&self) -> Self {
        self.monotone(Self::softplus_narrow)
    }

    /// `tanh(ln(1 + eˣ))`, the factor by which Mish weighs its argument.
    #[must_use]
    pub fn tanh_softplus(&self) -> Self {
        self.monotone(Self::tanh_softplus_narrow)
    }

    /// `x/(1 + |x|)`.
    #[must_use]
    pub fn softsign(&self) -> Self {
        self.monotone(|x| x / (Self::ONE + x.abs()))
    }

    /// An increasing function, from its enclosures at arguments of radius at most [`NARROW`].
    fn monotone(&self, narrow: impl Fn(Self) -> Self) -> Self {
        if !self.is_valid() {
            return Self::INVALID;
        }
        if self.radius() <= NARROW {
            return narrow(*self);
        }
        let at = |end: f64| if end.is_finite() { narrow(Self::exact(end)) } else { Self::INVALID };
        let (first, last) = (at(self.lower()), at(self.upper()));
        if first.is_valid() && last.is_valid() { Self::from_bounds(first.lower(), last.upper()) } else { Self::INVALID }
    }

    /// eˣ = 2ᵏ·eᶜ·eᵈ, where x = k·ln 2 + c + d and d is at most the radius of the reduced argument.
    fn exp_narrow(self) -> Self {
        // e^−746 < 2⁻¹⁰⁷⁴ and e^710 > 2¹⁰²⁴, with room for a narrow radius.
        if self.hi() < -747.0 {
            return underflow();
        }
        if self.hi() > 711.0 {
            return Self::INVALID;
        }
        // |turns| ≤ 1078; any integer would be sound.
        let turns = (self.hi() * std::f64::consts::LOG2_E).round();
        let reduced = self - ln_2() * Self::exact(turns);
        let power = Self::ONE + exp_m1_series(centre(&reduced));
        #[allow(clippy::cast_possible_truncation)]
        power.widened(mul_up(power.magnitude(), growth(reduced.radius()))).mul_pow2(turns as i32)
    }

    /// Near 0 by the series, with `|e^{c+d} − eᶜ| = eᶜ·|eᵈ − 1|`.
    fn exp_m1_narrow(self) -> Self {
        if self.hi().abs() < EXP_RANGE {
            let sum = exp_m1_series(centre(&self));
            sum.widened(mul_up(add_up(1.0, sum.magnitude()), growth(self.radius())))
        } else {
            self.exp_narrow() - Self::ONE
        }
    }

    /// ln(1 + x) = k·ln 2 + 2·artanh(z), where 2⁻ᵏ(1 + x) = 1 + w and z = w/(2 + w). The derivative 1/(1 + x) is largest
    /// at the lower end.
    fn ln_1p_narrow(self) -> Self {
        let lowest = add_down(1.0, self.lower());
        if lowest.is_nan() || lowest <= 0.0 {
            return Self::INVALID;
        }
        let x = centre(&self);
        // The reduced w lies in (−0.3, 0.42), so z in (−0.1765, 0.1736); any k would be sound.
        let (w, k) = if (-0.29..=0.41).contains(&x.hi()) {
            (x, 0)
        } else {
            let whole = Self::ONE + x;
            let k = binary_exponent(whole.hi() * std::f64::consts::SQRT_2);
            (whole.mul_pow2(-k) - Self::ONE, k)
        };
        let z = w / (Self::exact(2.0) + w);
        let logarithm = artanh_series(z) + ln_2() * Self::exact(f64::from(k));
        logarithm.widened(div_up(self.radius(), lowest))
    }

    /// ln x = k·ln 2 + ln(1 + w), where 2⁻ᵏx = 1 + w with w in (−0.3, 0.42); any k would be sound.
    fn ln_narrow(self) -> Self {
        if self.lower().is_nan() || self.lower() <= 0.0 {
            return Self::INVALID;
        }
        let k = binary_exponent(self.hi() * std::f64::consts::SQRT_2);
        let logarithm = (self.mul_pow2(-k) - Self::ONE).ln_1p_narrow();
        logarithm + ln_2() * Self::exact(f64::from(k))
    }

    /// tanh x = −m/(2 + m) with m = e^{−2x} − 1; it is odd.
    fn tanh_narrow(self) -> Self {
        if self.hi() < 0.0 {
            return -(-self).tanh_narrow();
        }
        // 1 − tanh x < 2e^{−2x}.
        if self.hi() > 400.0 {
            return Self::ONE.widened(SMALLEST_SUBNORMAL);
        }
        let m = (-self.mul_pow2(1)).exp_m1();
        -m / (Self::exact(2.0) + m)
    }

    /// Only powers of numbers that are not much above 0 are formed.
    fn sigmoid_narrow(self) -> Self {
        if self.hi() < 0.0 {
            let power = self.exp_narrow();
            power / (Self::ONE + power)
        } else {
            (Self::ONE + (-self).exp_narrow()).reciprocal()
        }
    }

    /// ln(1 + eˣ) = x + ln(1 + e⁻ˣ), whose slope is at most 1.
    fn softplus_narrow(self) -> Self {
        if self.hi() < 0.0 {
            return self.exp_narrow().ln_1p();
        }
        let c = centre(&self);
        (c + (-c).exp_narrow().ln_1p()).widened(self.radius())
    }

    /// With e = eˣ: tanh(ln s) = (s² − 1)/(s² + 1) at s = 1 + e, so it is w/(w + 2) with w = s² − 1 = e(e + 2). For large x
    /// that is 1/(1 + 2/w), where 2/w = 2g²/(1 + 2g) with g = e⁻ˣ.
    fn tanh_softplus_narrow(self) -> Self {
        let two = Self::exact(2.0);
        if self.hi() < 0.0 {
            let power = self.exp_narrow();
            let w = power * (power + two);
            w / (w + two)
        } else {
            let inverse = (-self).exp_narrow();
            let ratio = inverse.square().mul_pow2(1) / (Self::ONE + inverse.mul_pow2(1));
            (Self::ONE + ratio).reciprocal()
        }
    }
}

/// eᶜ − 1 at an exact c, |c| ≤ 3/8. By Lagrange's form the remainder after degree 24 is at most e^{|c|}·|c|²⁵/25!, which
/// is below |c|·[`EXP_REMAINDER`], as e^{3/8} < 2.
fn exp_m1_series(c: Enclosure) -> Enclosure {
    let size = c.magnitude();
    if size > EXP_RANGE {
        return Enclosure::INVALID;
    }
    let sum = INVERSE_FACTORIALS[1..].iter().rev().fold(Enclosure::ZERO, |sum, &coefficient| sum * c + coefficient);
    (sum * c).widened(mul_up(size, EXP_REMAINDER))
}

/// `2·artanh(z) = 2z·Σ z²ⁿ/(2n + 1)` for |z| ≤ 3/16; it is the logarithm of (1 + z)/(1 − z). The remainder after 23 terms
/// is below the geometric series `2|z|⁴⁷/47·(1 + z² + …)`, which is below |z|·[`ARTANH_REMAINDER`].
fn artanh_series(z: Enclosure) -> Enclosure {
    let size = z.magnitude();
    if size > ARTANH_RANGE {
        return Enclosure::INVALID;
    }
    let square = z.square();
    let sum = ODD_RECIPROCALS[..ARTANH_TERMS].iter().rev().fold(Enclosure::ZERO, |sum, &coefficient| sum * square + coefficient);
    (sum * z).mul_pow2(1).widened(mul_up(size, ARTANH_REMAINDER))
}

#[cfg(test)]
mod tests;
