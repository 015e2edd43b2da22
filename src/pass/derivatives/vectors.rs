//! Products of a block of rows with vectors, at the speed of memory: plain loops, compiled for the processor's vectors.
//! Entries are read as they are stored, sums are in `f64`.

// What is not inlined does not get the wider instructions.
#![allow(clippy::inline_always)]

use pulp::{Arch, Simd, WithSimd};

use super::real::Real;

/// Columns of one step: their sums stay in the first cache.
const STEP: usize = 1024;

/// `out += R·x` for the rows `R`, stored one after another, which are as long as `x`.
pub fn add_times<T: Real>(rows: &[T], x: &[f64], out: &mut [f64]) {
    Arch::new().dispatch(Times { rows, x, out });
}

/// `out += Rᵀ·a` for the rows `R`, which are as long as `out`.
pub fn add_transposed_times<T: Real>(rows: &[T], a: &[f64], out: &mut [f64]) {
    Arch::new().dispatch(Transposed { rows, a, out });
}

/// The entries in `f64`.
pub fn widen<T: Real>(entries: &[T], out: &mut Vec<f64>) {
    out.resize(entries.len(), 0.0);
    Arch::new().dispatch(Widen { entries, out });
}

struct Times<'a, T> {
    rows: &'a [T],
    x: &'a [f64],
    out: &'a mut [f64],
}

impl<T: Real> WithSimd for Times<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        const LANES: usize = 32;
        let (xs, x_rest) = self.x.as_chunks::<LANES>();
        for (row, out) in self.rows.chunks_exact(self.x.len()).zip(self.out) {
            let mut sums = [0.0; LANES];
            let (row, rest) = row.as_chunks::<LANES>();
            for (row, x) in row.iter().zip(xs) {
                for lane in 0..LANES {
                    sums[lane] += row[lane].to_f64() * x[lane];
                }
            }
            // In halves, which are vectors too; one after another would take as long as a short row.
            let mut half = LANES / 2;
            while half > 0 {
                let (left, right) = sums.split_at_mut(half);
                left.iter_mut().zip(right).for_each(|(left, right)| *left += *right);
                half /= 2;
            }
            *out += sums[0] + rest.iter().zip(x_rest).map(|(r, x)| r.to_f64() * x).sum::<f64>();
        }
    }
}

struct Transposed<'a, T> {
    rows: &'a [T],
    a: &'a [f64],
    out: &'a mut [f64],
}

impl<T: Real> WithSimd for Transposed<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        // Rows as they lie in memory: several at once take fewer operations and read it slower.
        let width = self.out.len();
        for (step, out) in self.out.chunks_mut(STEP).enumerate() {
            for (row, a) in self.rows.chunks_exact(width).zip(self.a) {
                let piece = &row[step * STEP..][..out.len()];
                out.iter_mut().zip(piece).for_each(|(out, x)| *out += a * x.to_f64());
            }
        }
    }
}

struct Widen<'a, T> {
    entries: &'a [T],
    out: &'a mut [f64],
}

impl<T: Real> WithSimd for Widen<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.out.iter_mut().zip(self.entries).for_each(|(out, entry)| *out = entry.to_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_agree_with_the_definition() {
        let (m, width) = (7, STEP + 45);
        let rows: Vec<f32> = (0..m * width).map(|i| (i as f32 * 0.37).sin()).collect();
        let x: Vec<f64> = (0..width).map(|i| (i as f64 * 0.7).cos()).collect();
        let a: Vec<f64> = (0..m).map(|i| (i as f64 * 1.9).sin()).collect();
        let entry = |i: usize, j: usize| f64::from(rows[i * width + j]);
        let mut product = vec![0.0; m];
        add_times(&rows, &x, &mut product);
        for (i, found) in product.into_iter().enumerate() {
            let expected: f64 = (0..width).map(|j| entry(i, j) * x[j]).sum();
            assert!((found - expected).abs() < 1e-12, "{i}: {found} {expected}");
        }
        let mut product = vec![0.0; width];
        add_transposed_times(&rows, &a, &mut product);
        for (j, found) in product.into_iter().enumerate() {
            let expected: f64 = (0..m).map(|i| entry(i, j) * a[i]).sum();
            assert!((found - expected).abs() < 1e-14, "{j}: {found} {expected}");
        }
    }
}
