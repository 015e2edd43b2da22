//! Shared by the tests beside the routines.

use std::ffi::c_char;

/// Rows of padding below every test matrix: leading dimensions exceed the row counts.
pub const PAD: usize = 3;

pub fn letter(value: u8) -> c_char {
    value as c_char
}

/// Reproducible numbers in [-1, 1).
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    /// Column-major storage with distinct numbers in the padding too, and at
    /// least one number, so that the pointer of an empty matrix is valid.
    pub fn matrix(&mut self, _rows: usize, columns: usize, distance: usize) -> Vec<f64> {
        (0..(distance * columns).max(1)).map(|_| self.next()).collect()
    }
}

/// Every element, the padding included, agrees to `tolerance` relative to its size and 1.
pub fn assert_close(actual: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(actual.len(), expected.len());
    for (index, (a, e)) in actual.iter().zip(expected).enumerate() {
        assert!((a - e).abs() <= tolerance * (1.0 + e.abs()) * 40.0, "element {index}: {a} is not {e}");
    }
}
