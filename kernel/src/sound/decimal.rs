//! Decimal strings on the safe side of a binary number.
//!
//! The exact decimal expansion of a binary64 number is finite (at most 767 significant digits) and
//! the standard library prints it exactly on request; the digits are then cut, and stepped up in
//! the last place where the cut went the wrong way. No rounding is involved.

/// Digits requested for the exact expansion: enough for every binary64 number.
const EXACT_DIGITS: usize = 780;

/// The shortest decimal string with at most `significant` digits (at least 1) whose exact value is
/// the smallest such decimal `>= x`. Plain notation from 1e-4 up to below 1e9, otherwise with an
/// exponent; trailing zeros of a fraction are dropped. `inf`, `-inf` and `NaN` as such.
#[must_use]
pub fn upper_decimal(x: f64, significant: usize) -> String {
    outward(x, significant, x > 0.0)
}

/// The counterpart of [`upper_decimal`] whose exact value is the largest such decimal `<= x`.
#[must_use]
pub fn lower_decimal(x: f64, significant: usize) -> String {
    outward(x, significant, x < 0.0)
}

/// Cuts the exact expansion of `x` to `significant` digits, away from zero if asked.
fn outward(x: f64, significant: usize, away_from_zero: bool) -> String {
    if x.is_nan() {
        return "NaN".to_string();
    }
    if x.is_infinite() {
        return if x > 0.0 { "inf" } else { "-inf" }.to_string();
    }
    if x == 0.0 {
        return "0".to_string();
    }
    let text = format!("{:.*e}", EXACT_DIGITS, x.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let mut exponent: i32 = exponent.parse().unwrap_or(0);
    let mut digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();

    let keep = significant.clamp(1, digits.len());
    let rest = digits.split_off(keep);
    if away_from_zero && rest.iter().any(|&digit| digit != b'0') {
        increment(&mut digits, &mut exponent);
    }
    while digits.len() > 1 && digits.last() == Some(&b'0') {
        digits.pop();
    }
    let sign = if x < 0.0 { "-" } else { "" };
    format!("{sign}{}", layout(&digits, exponent))
}

/// Adds one unit in the last digit.
fn increment(digits: &mut [u8], exponent: &mut i32) {
    for digit in digits.iter_mut().rev() {
        if *digit != b'9' {
            *digit += 1;
            return;
        }
        *digit = b'0';
    }
    // All nines: 9.99 became 0.00, meaning 10.0.
    if let Some(first) = digits.first_mut() {
        *first = b'1';
    }
    *exponent += 1;
}

/// `d.ddd·10^exponent` in plain notation if of ordinary magnitude, otherwise scientific.
fn layout(digits: &[u8], exponent: i32) -> String {
    let text: String = digits.iter().map(|&digit| char::from(digit)).collect();
    if !(-4..9).contains(&exponent) {
        let (first, rest) = text.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        return format!("{first}{point}{rest}e{exponent}");
    }
    if exponent < 0 {
        let zeros = "0".repeat(exponent.unsigned_abs() as usize - 1);
        return format!("0.{zeros}{text}");
    }
    let whole = exponent.unsigned_abs() as usize + 1;
    if text.len() <= whole {
        return format!("{text}{}", "0".repeat(whole - text.len()));
    }
    let (integer, fraction) = text.split_at(whole);
    format!("{integer}.{fraction}")
}

#[cfg(test)]
mod tests {
    use super::super::testing::{RBig, Rng, rational};
    use super::*;
    use dashu::integer::IBig;

    /// The exact value of a decimal string.
    fn value(text: &str) -> RBig {
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let exponent: i32 = exponent.parse().expect("exponent");
        let fraction = mantissa.split_once('.').map_or(0, |(_, digits)| digits.len() as i32);
        let integer: IBig = mantissa.replace('.', "").parse().expect("digits");
        let shift = exponent - fraction;
        let power = RBig::from(IBig::from(10).pow(shift.unsigned_abs() as usize));
        if shift >= 0 { RBig::from(integer) * power } else { RBig::from(integer) / power }
    }

    #[test]
    fn strings_are_outward_and_close() {
        let mut rng = Rng::new(8);
        for _ in 0..4_000 {
            let x = if rng.below(2) == 0 { rng.nasty() } else { rng.spread(-20, 34) };
            let digits = 1 + rng.below(20);
            let (lower, upper) = (lower_decimal(x, digits), upper_decimal(x, digits));
            let (low, high, truth) = (value(&lower), value(&upper), rational(x));
            assert!(low <= truth && truth <= high, "{x:e}: {lower} {upper}");
            assert!(low == high || low < truth && truth < high);
            // One unit of the last digit apart, so at most 10^(1 − digits) relative.
            let unit = RBig::from(IBig::from(10).pow(digits - 1));
            let size = if x < 0.0 { -truth } else { truth };
            assert!((high - low) * unit <= size * RBig::from(1), "{x:e}: {lower} {upper}");
            let count = |text: &str| {
                let mantissa = text.split('e').next().unwrap_or_default();
                let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
                digits.trim_start_matches('0').trim_end_matches('0').len()
            };
            assert!(count(&lower) <= digits && count(&upper) <= digits);
        }
    }

    #[test]
    fn notation() {
        assert_eq!(upper_decimal(0.5, 6), "0.5");
        assert_eq!(upper_decimal(0.1, 6), "0.100001");
        assert_eq!(lower_decimal(0.1, 6), "0.1");
        assert_eq!(upper_decimal(-0.1, 6), "-0.1");
        assert_eq!(lower_decimal(-0.1, 6), "-0.100001");
        assert_eq!(upper_decimal(123_456.0, 3), "124000");
        assert_eq!(upper_decimal(9.999, 2), "10");
        assert_eq!(upper_decimal(999_999_999.5, 3), "1e9");
        assert_eq!(upper_decimal(1e9, 3), "1e9");
        assert_eq!(upper_decimal(123_456_789.0, 9), "123456789");
        assert_eq!(lower_decimal(0.000_1, 3), "0.0001");
        assert_eq!(lower_decimal(1.0 / 16384.0, 3), "6.1e-5");
        assert_eq!(upper_decimal(f64::from_bits(1), 3), "4.95e-324");
        assert_eq!(upper_decimal(2.0, 0), "2");
        assert_eq!(upper_decimal(0.0, 3), "0");
        assert_eq!(upper_decimal(-0.0, 3), "0");
        assert_eq!(upper_decimal(f64::INFINITY, 3), "inf");
        assert_eq!(lower_decimal(f64::NEG_INFINITY, 3), "-inf");
        assert_eq!(lower_decimal(f64::NAN, 3), "NaN");
    }

    #[test]
    fn expansion_is_exact() {
        for x in [f64::MIN_POSITIVE, f64::MIN_POSITIVE.next_down(), f64::MAX, f64::from_bits(1)] {
            assert_eq!(value(&upper_decimal(x, usize::MAX)), rational(x));
        }
    }
}
