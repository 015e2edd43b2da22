//! Decimal constants and what is computed from them, enclosed.

use std::cmp::Ordering;

use sha2::{Digest, Sha256};

use crate::sound::round::{add_down, add_up, div_down, div_up, mul_down, mul_up};

/// A real number between two `f64` numbers; equal where it is one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Constant {
    /// Not above the number.
    pub lower: f64,
    /// Not below the number.
    pub upper: f64,
    /// The nearest `f64` of a decimal; of a computed number some `f64` close to it.
    pub nearest: f64,
    /// Of a decimal that is no `f64`, what its magnitude is written as: two with the same are the same number. Zero of all
    /// others.
    written: u128,
}

impl Constant {
    pub const ZERO: Self = Self::exact(0.0);

    #[must_use]
    pub const fn exact(value: f64) -> Self {
        Self::between(value, value, value)
    }

    /// A number that was computed.
    #[must_use]
    pub const fn between(lower: f64, upper: f64, nearest: f64) -> Self {
        Self { lower, upper, nearest, written: 0 }
    }

    /// Whether both are certainly the same real number.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self == other && (self.is_exact() || self.written != 0)
    }

    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.lower == self.upper
    }

    /// The tightest enclosure of a decimal such as `-1.5`, `.5` or `1e-05`; `None` for anything else, for numbers beyond
    /// the range of `f64`, and for texts longer than any number needs to be.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let decimal = Decimal::parse(text)?;
        let nearest: f64 = text.parse().ok().filter(|value: &f64| value.is_finite())?;
        let order = decimal.compare(nearest.abs());
        let order = if decimal.negative { order.reverse() } else { order };
        Some(Self {
            lower: if order == Ordering::Less { nearest.next_down() } else { nearest },
            upper: if order == Ordering::Greater { nearest.next_up() } else { nearest },
            nearest,
            written: if order == Ordering::Equal { 0 } else { decimal.written() },
        })
    }

    /// The same for a decimal or a quotient of two, such as `8/255`.
    #[must_use]
    pub fn parse_quotient(text: &str) -> Option<Self> {
        match text.split_once('/') {
            Some((dividend, divisor)) => Self::parse(dividend)?.over(Self::parse(divisor)?),
            None => Self::parse(text),
        }
    }

    pub(super) fn negated(self) -> Self {
        Self { lower: -self.upper, upper: -self.lower, nearest: -self.nearest, written: self.written }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        if other == Self::ZERO {
            return self;
        }
        if self == Self::ZERO {
            return other;
        }
        Self::between(add_down(self.lower, other.lower), add_up(self.upper, other.upper), self.nearest + other.nearest)
    }

    pub(super) fn times(self, other: Self) -> Self {
        let pairs = [(self.lower, other.lower), (self.lower, other.upper), (self.upper, other.lower), (self.upper, other.upper)];
        Self::between(
            pairs.iter().map(|&(a, b)| mul_down(a, b)).fold(f64::INFINITY, f64::min),
            pairs.iter().map(|&(a, b)| mul_up(a, b)).fold(f64::NEG_INFINITY, f64::max),
            self.nearest * other.nearest,
        )
    }

    /// The quotient; `None` where the divisor may be zero or the quotient overflows.
    pub(super) fn over(self, divisor: Self) -> Option<Self> {
        // A division by one changes nothing, so that decimals that are written alike remain the same number.
        if divisor == Self::exact(1.0) {
            return Some(self);
        }
        if divisor == Self::exact(-1.0) {
            return Some(self.negated());
        }
        if !(divisor.lower > 0.0 || divisor.upper < 0.0) {
            return None;
        }
        let pairs =
            [(self.lower, divisor.lower), (self.lower, divisor.upper), (self.upper, divisor.lower), (self.upper, divisor.upper)];
        let quotient = Self::between(
            pairs.iter().map(|&(a, b)| div_down(a, b)).fold(f64::INFINITY, f64::min),
            pairs.iter().map(|&(a, b)| div_up(a, b)).fold(f64::NEG_INFINITY, f64::max),
            self.nearest / divisor.nearest,
        );
        quotient.is_finite().then_some(quotient)
    }

    pub(super) fn is_finite(&self) -> bool {
        self.lower.is_finite() && self.upper.is_finite()
    }
}

/// Longest number that is read: more digits than any `f64` has, with room.
const LONGEST: usize = 2048;
/// Exponents beyond are no `f64` numbers whatever the digits, of which there are at most [`LONGEST`].
const LARGEST_EXPONENT: i64 = 4096;

/// `digits · 10^exponent`.
struct Decimal<'a> {
    negative: bool,
    /// Before and after the point.
    parts: [&'a [u8]; 2],
    exponent: i64,
}

impl<'a> Decimal<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let (negative, rest) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] | rest => (false, rest),
        };
        let digits = |bytes: &'a [u8]| bytes.split_at(bytes.iter().position(|b| !b.is_ascii_digit()).unwrap_or(bytes.len()));
        let (whole, rest) = digits(rest);
        let (fraction, rest) = rest.strip_prefix(b".").map_or((&rest[..0], rest), digits);
        let mut exponent = 0;
        if let [b'e' | b'E', power @ ..] = rest {
            let power = std::str::from_utf8(power).ok()?;
            exponent = power.parse::<i64>().ok().filter(|power| power.abs() <= LARGEST_EXPONENT)?;
        } else if !rest.is_empty() {
            return None;
        }
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        Some(Self { negative, parts: [whole, fraction], exponent: exponent - fraction.len() as i64 })
    }

    /// A digest of the magnitude, the same however it is written; never zero.
    fn written(&self) -> u128 {
        let digits: Vec<u8> =
            self.parts.iter().flat_map(|part| part.iter().copied()).skip_while(|&digit| digit == b'0').collect();
        let end = digits.iter().rposition(|&digit| digit != b'0').map_or(0, |last| last + 1);
        let exponent = self.exponent + (digits.len() - end) as i64;
        let digest = Sha256::new().chain_update(&digits[..end]).chain_update(exponent.to_le_bytes()).finalize();
        digest.iter().take(16).fold(0, |value, &byte| value << 8 | u128::from(byte)).max(1)
    }

    /// The magnitude against a non-negative `f64`, exactly.
    fn compare(&self, value: f64) -> Ordering {
        let (significand, power) = dissect(value);
        if let (Some(digits), 0..=19) = (self.small(), -self.exponent) {
            // digits·2^-power against significand·10^-exponent. Both sides are nearly equal and the right one is below
            // 2^53·10^19 < 2^117, so a shift that overflows says by itself which one is larger.
            let right = u128::from(significand) * 10_u128.pow(self.exponent.unsigned_abs() as u32);
            let shifted = |value: u128, by: i32| value.checked_shl(by as u32).filter(|s| s >> by == value && by < 128);
            return if power <= 0 {
                let shift = power.unsigned_abs() as i32;
                if digits == 0 {
                    0.cmp(&right)
                } else {
                    shifted(u128::from(digits), shift).map_or(Ordering::Greater, |left| left.cmp(&right))
                }
            } else {
                shifted(right, power).map_or(Ordering::Less, |right| u128::from(digits).cmp(&right))
            };
        }
        let mut left = Natural::from_digits(self.parts.iter().flat_map(|part| part.iter().copied()));
        let mut right = Natural(vec![significand]);
        let tens = if self.exponent > 0 { &mut left } else { &mut right };
        tens.times_power(10, self.exponent.unsigned_abs());
        let twos = if power > 0 { &mut right } else { &mut left };
        twos.times_power(2, u64::from(power.unsigned_abs()));
        left.compare(&right)
    }

    /// The digits as one number, where it fits.
    fn small(&self) -> Option<u64> {
        let mut digits = self.parts.iter().flat_map(|part| part.iter());
        digits.try_fold(0_u64, |value, digit| value.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
    }
}

/// `value = significand · 2^power` for a finite non-negative number.
fn dissect(value: f64) -> (u64, i32) {
    let bits = value.to_bits();
    let (field, fraction) = ((bits >> 52 & 0x7ff) as i32, bits & ((1 << 52) - 1));
    if field == 0 { (fraction, -1074) } else { (fraction | 1 << 52, field - 1075) }
}

/// A natural number of any size, least significant limb first.
struct Natural(Vec<u64>);

impl Natural {
    fn from_digits(digits: impl Iterator<Item = u8>) -> Self {
        let mut number = Self(Vec::new());
        digits.for_each(|digit| number.times_plus(10, u64::from(digit - b'0')));
        number
    }

    fn times_plus(&mut self, factor: u64, addend: u64) {
        let mut carry = u128::from(addend);
        for limb in &mut self.0 {
            carry += u128::from(*limb) * u128::from(factor);
            *limb = carry as u64;
            carry >>= 64;
        }
        if carry > 0 {
            self.0.push(carry as u64);
        }
    }

    fn times_power(&mut self, base: u64, exponent: u64) {
        // The largest power that fits a limb: 10^19 or 2^63.
        let step = u64::from(if base == 2 { 63 } else { u64::MAX.ilog(base) });
        for _ in 0..exponent / step {
            self.times_plus(base.pow(step as u32), 0);
        }
        self.times_plus(base.pow((exponent % step) as u32), 0);
    }

    fn compare(&self, other: &Self) -> Ordering {
        let significant = |limbs: &[u64]| limbs.iter().rposition(|&limb| limb != 0).map_or(0, |last| last + 1);
        let (a, b) = (&self.0[..significant(&self.0)], &other.0[..significant(&other.0)]);
        a.len().cmp(&b.len()).then_with(|| a.iter().rev().cmp(b.iter().rev()))
    }
}

#[cfg(test)]
mod tests {
    use dashu::rational::RBig;

    use super::*;

    fn exact(text: &str) -> RBig {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits: dashu::integer::IBig = format!("{whole}{fraction}").parse().unwrap();
        let power = exponent.parse::<i64>().unwrap() - fraction.len() as i64;
        let ten = dashu::integer::IBig::from(10).pow(power.unsigned_abs() as usize);
        if power < 0 { RBig::from_parts(digits, ten.try_into().unwrap()) } else { RBig::from(digits * ten) }
    }

    #[test]
    fn decimals_are_enclosed_as_tightly_as_possible() {
        let mut texts: Vec<String> = [
            "0",
            "-0.0",
            "0.1",
            "-0.1",
            "0.5",
            "1e-05",
            "-1E+05",
            "5.",
            ".5",
            "+2.25",
            "1e-400",
            "2.4703282292062328e-324",
            "123456789012345678901234567890",
            "0.029999999329447746",
            "-0.0013070636196061969",
            "9007199254740993",
            "1.7976931348623157e308",
            "0.1000000000000000055511151231257827021181583404541015625",
            "1e22",
            "1e23",
            "-3e-310",
        ]
        .map(str::to_owned)
        .into();
        let mut state = 1_u64;
        for round in 0..4000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let value = f64::from_bits(state);
            if value.is_finite() {
                texts.push(format!("{value:e}"));
                let narrow = (state >> 40) as f32 / 16_777_216.0 - 0.5;
                texts.push(format!("{:.*}", round % 25, f64::from(narrow)));
                texts.push(format!("{:.*e}", round % 40, value));
            }
        }
        for text in texts {
            let Some(constant) = Constant::parse(&text) else { panic!("{text}") };
            let truth = exact(text.trim_start_matches('+').trim_end_matches('.'));
            let rational = |v: f64| RBig::try_from(v).unwrap();
            assert!(rational(constant.lower) <= truth && truth <= rational(constant.upper), "{text}: {constant:?}");
            if rational(constant.nearest) == truth {
                assert!(constant.is_exact() && constant.lower == constant.nearest, "{text}: {constant:?}");
            } else {
                assert_eq!(constant.lower.next_up(), constant.upper, "{text}: {constant:?}");
            }
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let long = "1".repeat(3000);
        for text in
            ["", "-", ".", "e5", "1e", "1e+", "0x10", "inf", "nan", "1e999", "-1e400", "1e-99999999999", "1.2.3", "1_0", &long]
        {
            assert_eq!(Constant::parse(text), None, "{text}");
        }
    }

    #[test]
    fn arithmetic_encloses() {
        let (a, b) = (Constant::parse("0.1").unwrap(), Constant::parse("-0.3").unwrap());
        let rational = |v: f64| RBig::try_from(v).unwrap();
        for (result, truth) in [(a.plus(b), exact("-0.2")), (a.times(b), exact("-0.03")), (b.negated(), exact("0.3"))] {
            assert!(rational(result.lower) <= truth && truth <= rational(result.upper));
            assert!(result.upper - result.lower < 1e-15);
        }
    }
}
