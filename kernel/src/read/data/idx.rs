//! IDX, the format of the MNIST files: a type, the extents, then big-endian elements.

use super::array::{Array, Values};
use super::error::Problem;

const FORMAT: &str = "an IDX file";

/// Two zeros, a known type, a number of axes.
pub(super) fn looks_like(bytes: &[u8]) -> bool {
    matches!(bytes, [0, 0, 8 | 9 | 11..=14, axes, ..] if *axes > 0)
}

pub(super) fn read(bytes: &[u8]) -> Result<Array, Problem> {
    let [0, 0, kind, axes, rest @ ..] = bytes else { return Err(Problem::malformed(FORMAT, "the magic number is missing")) };
    let axes = usize::from(*axes);
    let (extents, data) =
        rest.split_at_checked(4 * axes).ok_or_else(|| Problem::malformed(FORMAT, "the extents are cut short"))?;
    let shape: Vec<usize> = extents.chunks_exact(4).map(|c| u32::from_be_bytes([c[0], c[1], c[2], c[3]]) as usize).collect();
    let width: usize = match kind {
        8 | 9 => 1,
        11 => 2,
        12 | 13 => 4,
        14 => 8,
        kind => return Err(Problem::malformed(FORMAT, format!("element type {kind} is unknown"))),
    };
    let expected = shape.iter().try_fold(width, |product, &extent| product.checked_mul(extent));
    if expected != Some(data.len()) {
        let expected = expected.map_or_else(|| "more than all memory".to_owned(), |count| count.to_string());
        return Err(Problem::Length { shape, expected, found: data.len() });
    }
    let values = match kind {
        8 => Values::U8(data.to_vec()),
        9 => Values::I64(data.iter().map(|&byte| i64::from(byte.cast_signed())).collect()),
        11 => Values::I64(data.chunks_exact(2).map(|c| i64::from(i16::from_be_bytes([c[0], c[1]]))).collect()),
        12 => Values::I64(data.chunks_exact(4).map(|c| i64::from(i32::from_be_bytes([c[0], c[1], c[2], c[3]]))).collect()),
        13 => Values::F32(data.chunks_exact(4).map(|c| f32::from_be_bytes([c[0], c[1], c[2], c[3]])).collect()),
        _ => {
            let word = |c: &[u8]| c.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
            Values::F64(data.chunks_exact(8).map(|c| f64::from_bits(word(c))).collect())
        }
    };
    Array::new(shape, values).ok_or_else(|| Problem::malformed(FORMAT, "the shape overflows"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn idx(kind: u8, extents: &[u32], data: &[u8]) -> Vec<u8> {
        let extents: Vec<u8> = extents.iter().flat_map(|e| e.to_be_bytes()).collect();
        [&[0, 0, kind, (extents.len() / 4) as u8], &extents[..], data].concat()
    }

    #[test]
    fn all_types() {
        let array = read(&idx(8, &[2, 1, 2], &[1, 2, 3, 255])).unwrap();
        assert_eq!((array.shape(), array.row(1)), (&[2, 1, 2][..], vec![3.0, 255.0]));
        assert_eq!(read(&idx(9, &[1], &[0xff])).unwrap().row(0), [-1.0]);
        assert_eq!(read(&idx(11, &[1], &(-2i16).to_be_bytes())).unwrap().row(0), [-2.0]);
        assert_eq!(read(&idx(12, &[1], &(-70_000i32).to_be_bytes())).unwrap().row(0), [-70_000.0]);
        assert_eq!(read(&idx(13, &[1], &0.25f32.to_be_bytes())).unwrap().row(0), [0.25]);
        assert_eq!(read(&idx(14, &[1], &(-0.1f64).to_be_bytes())).unwrap().row(0), [-0.1]);
    }

    #[test]
    fn lengths_are_checked() {
        assert!(matches!(read(&idx(8, &[2, 3], &[0; 5])), Err(Problem::Length { found: 5, .. })));
        assert!(matches!(read(&idx(14, &[u32::MAX; 3], &[])), Err(Problem::Length { .. })));
        assert!(read(&[0, 0, 8]).is_err() && read(&[0, 0, 8, 200, 1]).is_err() && read(&idx(10, &[0], &[])).is_err());
    }
}
