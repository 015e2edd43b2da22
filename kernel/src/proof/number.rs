//! Numbers in certificates: the exact bits, and a decimal for people that is rounded outward.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::sound::{lower_decimal, upper_decimal};

/// Significant digits of a decimal.
const DIGITS: usize = 9;

/// An `f64` by its bits, sixteen hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "schema", schemars(with = "String", extend("pattern" = "^[0-9a-f]{16}$")))]
pub struct Bits(u64);

impl Bits {
    #[must_use]
    pub const fn of(value: f64) -> Self {
        Self(value.to_bits())
    }

    #[must_use]
    pub const fn value(self) -> f64 {
        f64::from_bits(self.0)
    }
}

impl From<Bits> for String {
    fn from(bits: Bits) -> Self {
        format!("{:016x}", bits.0)
    }
}

impl TryFrom<String> for Bits {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let hexadecimal = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let bits = hexadecimal.then(|| u64::from_str_radix(&text, 16).ok()).flatten();
        bits.map(Self).ok_or(Malformed)
    }
}

/// Bits that are written wrongly. What was written is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more or less than sixteen lower-case hexadecimal digits")]
pub struct Malformed;

/// Which way a decimal was rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Rounding {
    Up,
    Down,
}

/// A bound: its exact value and a decimal on the safe side of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Number {
    pub decimal: String,
    pub bits: Bits,
    pub rounding: Rounding,
}

impl Number {
    /// An upper bound.
    #[must_use]
    pub fn upper(value: f64) -> Self {
        Self::rounded(Bits::of(value), Rounding::Up)
    }

    /// A lower bound.
    #[must_use]
    pub fn lower(value: f64) -> Self {
        Self::rounded(Bits::of(value), Rounding::Down)
    }

    fn rounded(bits: Bits, rounding: Rounding) -> Self {
        let decimal = match rounding {
            Rounding::Up => upper_decimal(bits.value(), DIGITS),
            Rounding::Down => lower_decimal(bits.value(), DIGITS),
        };
        Self { decimal, bits, rounding }
    }

    #[must_use]
    pub const fn value(&self) -> f64 {
        self.bits.value()
    }

    /// Whether the number is finite and the decimal the one that its bits and rounding give.
    #[must_use]
    pub fn is_consistent(&self, rounding: Rounding) -> bool {
        self.value().is_finite() && *self == Self::rounded(self.bits, rounding)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.decimal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_survive_json() {
        for value in [0.1, -0.0, f64::MIN_POSITIVE, 1e300, 5e-324] {
            let text = serde_json::to_string(&Bits::of(value)).unwrap();
            let back: Bits = serde_json::from_str(&text).unwrap();
            assert_eq!(back.value().to_bits(), value.to_bits());
        }
        for bad in ["\"\"", "\"3FF0000000000000\"", "\"3ff00000000000000\"", "\"+ff0000000000000\"", "1"] {
            assert!(serde_json::from_str::<Bits>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn decimals_must_match_their_bits() {
        let number = Number::upper(1.0 / 3.0);
        assert_eq!(number.decimal, "0.333333334");
        assert!(number.is_consistent(Rounding::Up));
        assert!(!number.is_consistent(Rounding::Down));
        assert!(!Number { decimal: "0.333333333".into(), ..number }.is_consistent(Rounding::Up));
        assert!(!Number::upper(f64::NAN).is_consistent(Rounding::Up));
        assert!(!Number::upper(f64::INFINITY).is_consistent(Rounding::Up));
    }
}
