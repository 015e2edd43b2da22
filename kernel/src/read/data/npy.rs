//! NumPy's `.npy`: a header that is a Python dictionary, then the raw elements (NEP 1, format versions 1 to 3).

use std::io::Write;

use super::array::{Array, Values};
use super::error::Problem;

const FORMAT: &str = "a NumPy array";
pub(super) const MAGIC: &[u8] = b"\x93NUMPY";
/// NumPy itself refuses longer headers when it is careful.
const LONGEST_HEADER: usize = 1 << 16;
/// NumPy's own limit.
const MAX_AXES: usize = 64;

struct Header {
    descr: String,
    fortran_order: bool,
    shape: Vec<usize>,
}

/// Reads an array.
///
/// # Errors
/// What is wrong with the bytes.
pub fn read_npy(bytes: &[u8]) -> Result<Array, Problem> {
    let broken = |detail: &str| Problem::malformed(FORMAT, detail);
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| broken("the magic bytes are missing"))?;
    let (length, start) = match rest {
        [1, _, a, b, ..] => (usize::from(u16::from_le_bytes([*a, *b])), 4),
        [2 | 3, _, a, b, c, d, ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, 6),
        [version, _, ..] if !(1..=3).contains(version) => return Err(broken(&format!("version {version} is unknown"))),
        _ => return Err(broken("the header is cut short")),
    };
    if length > LONGEST_HEADER {
        return Err(broken(&format!("a header of {length} bytes is longer than the limit of {LONGEST_HEADER}")));
    }
    let text = rest.get(start..start + length).ok_or_else(|| broken("the header is cut short"))?;
    let text = std::str::from_utf8(text).map_err(|_| broken("the header is not UTF-8"))?;
    let header = HeaderParser { rest: text }.parse().map_err(|detail| broken(&format!("header: {detail}")))?;
    elements(&header, &rest[start + length..])
}

/// Writes `f64` values in version 1.0, little-endian, row-major.
///
/// # Errors
/// An input/output error; `InvalidInput` when the shape does not have as many elements as there are values.
pub fn write_npy(mut out: impl Write, shape: &[usize], values: &[f64]) -> std::io::Result<()> {
    if crate::model::ir::element_count(shape) != Some(values.len()) || shape.len() > MAX_AXES {
        let message = format!("{} values for the shape {shape:?}", values.len());
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, message));
    }
    let extents: Vec<String> = shape.iter().map(ToString::to_string).collect();
    // A Python tuple of one element needs its comma.
    let comma = if extents.len() == 1 { "," } else { "" };
    let dictionary = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({}{comma}), }}", extents.join(", "));
    // The data begin at a multiple of 64 bytes, after a line feed.
    let length = (MAGIC.len() + 4 + dictionary.len() + 1).next_multiple_of(64) - MAGIC.len() - 4;
    let length = u16::try_from(length).map_err(std::io::Error::other)?;
    out.write_all(MAGIC)?;
    out.write_all(&[1, 0])?;
    out.write_all(&length.to_le_bytes())?;
    writeln!(out, "{dictionary:<width$}", width = usize::from(length) - 1)?;
    for chunk in values.chunks(1 << 10) {
        out.write_all(&chunk.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())?;
    }
    Ok(())
}

fn elements(header: &Header, data: &[u8]) -> Result<Array, Problem> {
    let unsupported = || Problem::UnsupportedType(crate::files::token(&header.descr));
    let Some((order @ ("<" | ">" | "=" | "|"), kind)) = header.descr.split_at_checked(1) else {
        return Err(unsupported());
    };
    let big = order == ">";
    let width: usize = match kind {
        "b1" | "i1" | "u1" => 1,
        "f2" | "i2" | "u2" => 2,
        "f4" | "i4" | "u4" => 4,
        "f8" | "i8" | "u8" => 8,
        _ => return Err(unsupported()),
    };
    let expected = header.shape.iter().try_fold(width, |product, &extent| product.checked_mul(extent));
    if expected != Some(data.len()) {
        let expected = expected.map_or_else(|| "more than all memory".to_owned(), |count| count.to_string());
        return Err(Problem::Length { shape: header.shape.clone(), expected, found: data.len() });
    }
    let values = match kind {
        "b1" | "u1" => Values::U8(data.to_vec()),
        "i1" => Values::I64(data.iter().map(|&b| i64::from(b.cast_signed())).collect()),
        "i2" => Values::I64(each(data, big, |b| i64::from(i16::from_le_bytes(b)))),
        "u2" => Values::I64(each(data, big, |b| i64::from(u16::from_le_bytes(b)))),
        "i4" => Values::I64(each(data, big, |b| i64::from(i32::from_le_bytes(b)))),
        "u4" => Values::I64(each(data, big, |b| i64::from(u32::from_le_bytes(b)))),
        "i8" => Values::I64(each(data, big, i64::from_le_bytes)),
        "u8" => {
            let wide = each(data, big, u64::from_le_bytes);
            let narrow = wide.iter().map(|&value| i64::try_from(value).map_err(|_| Problem::Inexact(value.to_string())));
            Values::I64(narrow.collect::<Result<_, _>>()?)
        }
        "f2" => Values::F32(each(data, big, |b| half(u16::from_le_bytes(b)))),
        "f4" => Values::F32(each(data, big, f32::from_le_bytes)),
        _ => Values::F64(each(data, big, f64::from_le_bytes)),
    };
    let values = if header.fortran_order { row_major(&header.shape, &values) } else { values };
    Array::new(header.shape.clone(), values).ok_or_else(|| Problem::malformed(FORMAT, "the shape overflows"))
}

/// Elements of `N` bytes, each handed over little-endian.
fn each<const N: usize, T>(data: &[u8], big: bool, read: impl Fn([u8; N]) -> T) -> Vec<T> {
    let ordered = |chunk: &[u8]| {
        let mut bytes = [0; N];
        bytes.copy_from_slice(chunk);
        if big {
            bytes.reverse();
        }
        read(bytes)
    };
    data.chunks_exact(N).map(ordered).collect()
}

/// IEEE binary16, exactly.
fn half(bits: u16) -> f32 {
    let (sign, exponent, fraction) = (bits >> 15, bits >> 10 & 0x1f, u32::from(bits & 0x3ff));
    let magnitude = match exponent {
        0 => fraction as f32 / 16_777_216.0,
        0x1f => f32::from_bits(0x7f80_0000 | fraction << 13),
        _ => f32::from_bits((u32::from(exponent) + 112) << 23 | fraction << 13),
    };
    if sign == 0 { magnitude } else { -magnitude }
}

/// Elements in row-major order from elements in column-major order.
fn permuted<T: Copy>(shape: &[usize], values: &[T]) -> Vec<T> {
    let mut strides = Vec::with_capacity(shape.len());
    shape.iter().fold(1, |stride, extent| {
        strides.push(stride);
        stride * extent
    });
    let (mut index, mut position) = (vec![0; shape.len()], 0);
    let mut result = Vec::with_capacity(values.len());
    for _ in 0..values.len() {
        result.push(values[position]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            position += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            position -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
    }
    result
}

/// Column-major values in row-major order.
fn row_major(shape: &[usize], values: &Values) -> Values {
    match values {
        Values::U8(values) => Values::U8(permuted(shape, values)),
        Values::I64(values) => Values::I64(permuted(shape, values)),
        Values::F32(values) => Values::F32(permuted(shape, values)),
        Values::F64(values) => Values::F64(permuted(shape, values)),
    }
}

/// The few forms of Python literals that a header has.
struct HeaderParser<'a> {
    rest: &'a str,
}

impl<'a> HeaderParser<'a> {
    fn parse(mut self) -> Result<Header, String> {
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        self.expect("{")?;
        while !self.accept("}") {
            let key = self.string()?;
            self.expect(":")?;
            match key {
                "descr" if self.peek("[") => return Err("structured element types are not supported".to_owned()),
                "descr" => descr = Some(self.string()?.to_owned()),
                "fortran_order" if self.accept("True") => fortran_order = Some(true),
                "fortran_order" if self.accept("False") => fortran_order = Some(false),
                "shape" => shape = Some(self.tuple()?),
                _ => return Err(format!("unexpected key or value at `{}`", crate::files::token(key))),
            }
            if !self.accept(",") {
                self.expect("}")?;
                break;
            }
        }
        if !self.rest.trim().is_empty() {
            return Err("text after the dictionary".to_owned());
        }
        let missing = |key: &str| format!("`{key}` is missing");
        Ok(Header {
            descr: descr.ok_or_else(|| missing("descr"))?,
            fortran_order: fortran_order.ok_or_else(|| missing("fortran_order"))?,
            shape: shape.ok_or_else(|| missing("shape"))?,
        })
    }

    fn peek(&mut self, token: &str) -> bool {
        self.rest = self.rest.trim_start();
        self.rest.starts_with(token)
    }

    fn accept(&mut self, token: &str) -> bool {
        let found = self.peek(token);
        if found {
            self.rest = &self.rest[token.len()..];
        }
        found
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.accept(token) { Ok(()) } else { Err(format!("expected `{token}`")) }
    }

    fn string(&mut self) -> Result<&'a str, String> {
        let quote = ["'", "\""].into_iter().find(|quote| self.accept(quote)).ok_or("expected a string")?;
        let (text, rest) = self.rest.split_once(quote).ok_or("a string does not end")?;
        self.rest = rest;
        Ok(text)
    }

    fn tuple(&mut self) -> Result<Vec<usize>, String> {
        let mut extents = Vec::new();
        self.expect("(")?;
        while !self.accept(")") {
            let digits = self.rest.trim_start();
            let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
            extents.push(digits[..end].parse().map_err(|_| "the shape is not a tuple of counts")?);
            // Old writers put `L` after long integers.
            self.rest = digits[end..].strip_prefix('L').unwrap_or(&digits[end..]);
            if extents.len() > MAX_AXES {
                return Err(format!("more than {MAX_AXES} axes"));
            }
            if !self.accept(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(extents)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn npy(descr: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
        let order = if fortran { "True" } else { "False" };
        let header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
        let length = u16::try_from(header.len()).unwrap().to_le_bytes();
        [MAGIC, &[1, 0], &length, header.as_bytes(), data].concat()
    }

    fn values(descr: &str, data: &[u8]) -> Vec<f64> {
        let width: usize = descr[2..].parse().unwrap();
        read_npy(&npy(descr, false, &format!("({},)", data.len() / width), data)).unwrap().to_f64().unwrap()
    }

    #[test]
    fn every_element_type_in_both_byte_orders() {
        assert_eq!(values("|u1", &[0, 255]), [0.0, 255.0]);
        assert_eq!(values("|b1", &[0, 1]), [0.0, 1.0]);
        assert_eq!(values("|i1", &[0x80, 0x7f]), [-128.0, 127.0]);
        for (kind, value) in [("i2", -300.0), ("i4", -70_000.0), ("i8", -9e15), ("u2", 65_535.0), ("u4", 4e9), ("u8", 9e15)] {
            let integer = value as i64;
            let width: usize = kind[1..].parse().unwrap();
            let little = &integer.to_le_bytes()[..width];
            let big: Vec<u8> = little.iter().rev().copied().collect();
            assert_eq!(values(&format!("<{kind}"), little), [value]);
            assert_eq!(values(&format!(">{kind}"), &big), [value]);
        }
        assert_eq!(values("<f4", &1.5f32.to_le_bytes()), [1.5]);
        assert_eq!(values(">f8", &(-0.1f64).to_be_bytes()), [-0.1]);
        let halves =
            [(0x3c00, 1.0), (0xc000, -2.0), (0x3555, 0.333_251_953_125), (1, 5.960_464_477_539_063e-8), (0x7bff, 65504.0)];
        for (bits, value) in halves {
            assert_eq!(values("<f2", &u16::to_le_bytes(bits)), [value]);
        }
        assert!(values("<f2", &0x7c00u16.to_le_bytes())[0].is_infinite() && values("<f2", &0x7e00u16.to_le_bytes())[0].is_nan());
        let beyond = read_npy(&npy("<i8", false, "(1,)", &i64::MAX.to_le_bytes())).unwrap();
        assert!(matches!(beyond.to_f64(), Err(Problem::Inexact(_))) && beyond.row(0)[0].is_nan());
        assert!(matches!(read_npy(&npy("<u8", false, "()", &u64::MAX.to_le_bytes())), Err(Problem::Inexact(_))));
    }

    #[test]
    fn column_major_order_is_undone() {
        // Element (i, j, k) of shape (2, 3, 2) is 100i + 10j + k.
        let mut data = Vec::new();
        for k in 0..2u8 {
            for j in 0..3 {
                for i in 0..2 {
                    data.push(100 * i + 10 * j + k);
                }
            }
        }
        let array = read_npy(&npy("|u1", true, "(2, 3, 2)", &data)).unwrap();
        assert_eq!(array.shape(), [2, 3, 2]);
        assert_eq!(array.row(1), [100.0, 101.0, 110.0, 111.0, 120.0, 121.0]);
        assert!(read_npy(&npy("|u1", true, "(0, 3)", &[])).unwrap().values().is_empty());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let message = |bytes: &[u8]| read_npy(bytes).unwrap_err().to_string();
        assert!(message(&npy("<f4", false, "(3,)", &[0; 8])).contains("shape [3] needs 12 bytes of data, found 8"));
        assert!(message(&npy("<c8", false, "()", &[0; 8])).contains("element type `<c8` is not supported"));
        assert!(message(&npy("<f8", false, "(4294967296, 4294967296, 4)", &[])).contains("more than all memory"));
        assert!(message(&npy("<f8", false, "(-1,)", &[])).contains("tuple of counts"));
        assert!(message(b"\x93NUMPY\x02\x00\xff\xff\xff\xff").contains("longer than the limit"));
        assert!(message(b"\x93NUMPY\x09\x00\x00\x00").contains("version 9"));
        let structured = "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}";
        let length = u16::try_from(structured.len()).unwrap().to_le_bytes();
        assert!(message(&[MAGIC, &[1, 0], &length, structured.as_bytes()].concat()).contains("structured"));
    }
}
