//! Numbers as people write them: times, sizes, shares and quotients. Every function is the parser of an option.

use std::time::Duration;

use crate::kernel::read::vnnlib::Constant;

/// Seconds (`90`, `0.5`), or numbers with units (`90s`, `5m`, `1h30m`, `500ms`).
pub fn time(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, f64); 4] = [("ms", 1e-3), ("h", 3600.0), ("m", 60.0), ("s", 1.0)];
    let wrong = || "not a time: seconds, or numbers with units such as `90s`, `5m` or `1h30m`".to_owned();
    let mut rest = text.trim();
    let mut seconds = 0.0;
    let mut last = f64::INFINITY;
    while !rest.is_empty() {
        let end =
            rest.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == 'e' || c == '-' || c == '+')).unwrap_or(rest.len());
        let (number, behind) = rest.split_at(end);
        let value: f64 = number.parse().map_err(|_| wrong())?;
        let unit = UNITS.iter().find_map(|(name, scale)| behind.strip_prefix(name).map(|left| (*scale, left)));
        let (scale, left) = match unit {
            Some(found) => found,
            // A number alone is seconds; behind a unit it could be anything.
            None if behind.is_empty() && last.is_infinite() => (1.0, behind),
            None => return Err(wrong()),
        };
        if scale >= last {
            return Err(wrong());
        }
        (last, seconds, rest) = (scale, seconds + value * scale, left);
    }
    if seconds > 0.0 {
        Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
    } else {
        Err("must be positive".to_owned())
    }
}

/// Gigabytes (`3`, `0.5`), or a number with its unit (`8GB`, `500MB`).
pub fn gigabytes(text: &str) -> Result<f64, String> {
    let lower = text.trim().to_ascii_lowercase();
    let units = [("gb", 1.0), ("mb", 1e-3), ("g", 1.0), ("m", 1e-3)];
    let unit = units.iter().find_map(|(name, scale)| lower.strip_suffix(name).map(|number| (number, *scale)));
    let (number, scale) = unit.unwrap_or((&lower, 1.0));
    let value =
        number.trim().parse::<f64>().map_err(|_| "not a size: gigabytes, or a number such as `8GB` or `500MB`".to_owned())?;
    if value > 0.0 && value.is_finite() { Ok(value * scale) } else { Err("must be positive".to_owned()) }
}

/// A fraction (`0.25`), or in per cent (`25%`).
pub fn fraction(text: &str) -> Result<f64, String> {
    let (number, scale) = text.trim().strip_suffix('%').map_or((text.trim(), 1.0), |number| (number.trim(), 100.0));
    number.parse::<f64>().map(|value| value / scale).map_err(|_| "not a number: write `0.25` or `25%`".to_owned())
}

/// A share of something: a fraction above 0 and below 1.
pub fn share(text: &str) -> Result<f64, String> {
    let value = fraction(text)?;
    if value > 0.0 && value < 1.0 { Ok(value) } else { Err("must lie between 0 and 1".to_owned()) }
}

/// A decimal, or a quotient of two (`8/255`), as it is written: claims state it so.
pub fn decimal(text: &str) -> Result<String, String> {
    let read = Constant::parse_quotient(text).map(|_| text.to_owned());
    read.ok_or_else(|| "not a decimal number, nor a quotient of two such as `8/255`".to_owned())
}

/// The same, where a negative number means nothing.
pub fn size(text: &str) -> Result<String, String> {
    let read = decimal(text)?;
    let negative = Constant::parse_quotient(text).is_some_and(|value| value.lower < 0.0);
    if negative { Err("must not be negative".to_owned()) } else { Ok(read) }
}

/// The same, for a number by which is divided.
pub fn divisor(text: &str) -> Result<String, String> {
    let read = decimal(text)?;
    let positive = Constant::parse_quotient(text).is_some_and(|value| value.lower > 0.0);
    if positive { Ok(read) } else { Err("samples are divided by it, so it must be positive".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        let seconds = |text: &str| time(text).map(|time| time.as_secs_f64());
        for (text, expected) in
            [("90", 90.0), ("0.5", 0.5), ("90s", 90.0), ("5m", 300.0), ("1h30m", 5400.0), ("500ms", 0.5), ("1e2", 100.0)]
        {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
        for text in ["", "0", "-1", "5x", "30m1h", "5m30", "nan", "inf", "1m1m", "s", "0h30"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_and_shares_have_units() {
        assert_eq!((gigabytes("8GB"), gigabytes("500 MB"), gigabytes("3")), (Ok(8.0), Ok(0.5), Ok(3.0)));
        assert!(["0", "-1", "8TB", "GB", "nan"].iter().all(|text| gigabytes(text).is_err()));
        assert_eq!((share("25%"), share("0.25"), fraction("150 %")), (Ok(0.25), Ok(0.25), Ok(1.5)));
        assert!(["100%", "0", "1", "-1%", "x", "nan"].iter().all(|text| share(text).is_err()));
    }

    #[test]
    fn quotients_stand_as_they_are_written() {
        assert_eq!((decimal("8/255"), size("0.1"), divisor("1/3")), (Ok("8/255".into()), Ok("0.1".into()), Ok("1/3".into())));
        assert!(decimal("8/0").is_err() && decimal("1/2/3").is_err() && size("-8/255").is_err() && divisor("0").is_err());
    }
}
