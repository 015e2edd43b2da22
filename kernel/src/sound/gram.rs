//! Upper bounds of spectral norms without a hint: Gram iteration (Delattre, Barthélemy, Araujo, Allauzen, ICML 2023).
//!
//! `‖A‖² = ‖AAᵀ‖` and `‖G‖² = ‖G²‖` for symmetric `G`, so the Frobenius norm of a matrix squared often enough bounds the
//! spectral norm of the first one as closely as wanted. Error analysis, downward: a computed square `Ĝ₂` of a computed `G`
//! satisfies `‖Ĝ₂ − G²‖_F ≤ γ_{n+2}‖G‖_F²` plus underflow, so `‖G‖₂² ≤ ‖Ĝ₂‖₂ + γ_{n+2}‖G‖_F² + …`, and no error grows on the
//! way up. Powers of two keep the numbers near one.

use super::round::{SMALLEST_SUBNORMAL, add_up, gamma, mul_up, scale_pow2, sqrt_up};

/// A norm that falls by less in a squaring has settled.
const SETTLED: f64 = 1e-12;

/// An upper bound of the spectral norm of a row-major matrix after so many squarings: too large by a factor of at most
/// `r^(1/2^(squarings + 2))` for a matrix of rank `r`. NaN or infinite where the matrix has such an entry or overflows.
#[must_use]
pub fn spectral_norm_upper(matrix: &[f64], rows: usize, columns: usize, squarings: u32) -> f64 {
    if rows.checked_mul(columns) != Some(matrix.len()) {
        return f64::NAN;
    }
    if matrix.iter().all(|&value| value == 0.0) {
        return 0.0;
    }
    if matrix.iter().any(|value| !value.is_finite()) {
        return f64::NAN;
    }
    // The smaller Gram matrix: AAᵀ, or AᵀA as (Aᵀ)(Aᵀ)ᵀ.
    let (mut current, order, mut inner) = if rows <= columns {
        (matrix.to_vec(), rows, columns)
    } else {
        ((0..columns).flat_map(|j| (0..rows).map(move |i| matrix[i * columns + j])).collect(), columns, rows)
    };
    let mut levels: Vec<Level> = Vec::new();
    let mut best = f64::INFINITY;
    for step in 0..=squarings + 1 {
        let exponent = exponent_of_largest(&current);
        current.iter_mut().for_each(|value| *value = scale_pow2(*value, -exponent));
        let frobenius = add_up(frobenius_upper(&current), mul_up(current.len() as f64, SMALLEST_SUBNORMAL));
        let here = descend(&levels, mul_up(frobenius, scale_pow2(1.0, exponent)));
        let settled = here >= best * (1.0 - SETTLED);
        best = best.min(here);
        if settled || step > squarings {
            break;
        }
        let error = add_up(
            mul_up(gamma(inner + 2), mul_up(frobenius, frobenius)),
            mul_up((order * order * (inner + 1)) as f64, SMALLEST_SUBNORMAL),
        );
        let underflow = mul_up(current.len() as f64, SMALLEST_SUBNORMAL);
        levels.push(Level { exponent, error, underflow });
        current = gram(&current, order, inner);
        inner = order;
    }
    best
}

/// `‖this‖ ≤ 2^exponent·(√(‖next‖ + error) + underflow)`.
struct Level {
    exponent: i32,
    error: f64,
    underflow: f64,
}

/// From a bound of the last matrix's norm to one of the first.
fn descend(levels: &[Level], last: f64) -> f64 {
    levels.iter().rev().fold(last, |norm, level| {
        let scaled = add_up(sqrt_up(add_up(norm, level.error)), level.underflow);
        mul_up(scaled, scale_pow2(1.0, level.exponent))
    })
}

fn exponent_of_largest(values: &[f64]) -> i32 {
    let largest = values.iter().fold(0.0, |max: f64, value| max.max(value.abs()));
    let exponent = largest.log2();
    // Zero matrices, and those that underflowed to zero, stay as they are.
    if exponent.is_finite() { exponent.ceil() as i32 } else { 0 }
}

fn frobenius_upper(values: &[f64]) -> f64 {
    let squares: f64 = values.iter().map(|value| value * value).sum();
    let n = values.len();
    sqrt_up(add_up(mul_up(squares, add_up(1.0, gamma(n + 2))), mul_up(n as f64, SMALLEST_SUBNORMAL)))
}

/// `A·Aᵀ` for a row-major `order × inner` matrix: an inner product per entry, in four sums.
fn gram(matrix: &[f64], order: usize, inner: usize) -> Vec<f64> {
    let row = |i: usize| &matrix[i * inner..(i + 1) * inner];
    let mut result = vec![0.0; order * order];
    for i in 0..order {
        for j in 0..=i {
            let value = dot(row(i), row(j));
            result[i * order + j] = value;
            result[j * order + i] = value;
        }
    }
    result
}

/// `Σ a_i·b_i` to nearest, in eight sums beside each other, which vector units take at once: the error bounds for sums in any
/// order hold for it. No bound of anything by itself.
#[must_use]
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (heads, tails) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = heads.remainder().iter().zip(tails.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in heads.zip(tails) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
    }
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sound::testing::Rng;

    #[test]
    fn norms_that_are_known_are_met_from_above() {
        for (matrix, rows, columns, norm) in [
            (vec![3.0, 0.0, 4.0, 5.0], 2, 2, 45f64.sqrt()),
            (vec![3.0, 4.0], 1, 2, 5.0),
            (vec![3.0, 4.0], 2, 1, 5.0),
            (vec![1e-200, 0.0, 0.0, 1e-200], 2, 2, 1e-200),
            (vec![1e150, 0.0, 0.0, 2e150], 2, 2, 2e150),
            (vec![0.0; 6], 2, 3, 0.0),
        ] {
            let bound = spectral_norm_upper(&matrix, rows, columns, 12);
            assert!(bound >= norm * (1.0 - 1e-15) && bound <= norm * (1.0 + 1e-3), "{bound} {norm}");
        }
        assert!(!spectral_norm_upper(&[f64::NAN], 1, 1, 3).is_finite());
        assert!(!spectral_norm_upper(&[1.0], 1, 2, 3).is_finite());
    }

    #[test]
    fn the_bound_is_above_every_quotient_and_close_to_the_largest() {
        let mut random = Rng::new(5);
        for (rows, columns) in [(3, 7), (8, 8), (20, 11)] {
            let matrix: Vec<f64> = (0..rows * columns).map(|_| random.uniform()).collect();
            let bound = spectral_norm_upper(&matrix, rows, columns, 12);
            let mut x: Vec<f64> = (0..columns).map(|_| random.uniform()).collect();
            let mut quotient = 0.0;
            for _ in 0..500 {
                let norm = x.iter().map(|x| x * x).sum::<f64>().sqrt();
                x.iter_mut().for_each(|x| *x /= norm);
                let y: Vec<f64> = matrix.chunks(columns).map(|row| row.iter().zip(&x).map(|(a, x)| a * x).sum()).collect();
                quotient = y.iter().map(|y: &f64| y * y).sum::<f64>().sqrt();
                assert!(quotient <= bound * (1.0 + 1e-14));
                x = (0..columns).map(|j| (0..rows).map(|i| matrix[i * columns + j] * y[i]).sum()).collect();
            }
            assert!(bound <= quotient * 1.001 && bound <= spectral_norm_upper(&matrix, rows, columns, 2), "{bound} {quotient}");
        }
    }
}
