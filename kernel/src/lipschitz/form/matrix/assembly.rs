//! The sums themselves: plain `f64`, in any order. Nothing here bounds anything; `charges` does, for every order.
//!
//! Trusted. It must not leave out a term, nor decide whether one counts.

use super::charges::radius;
use super::term::{Cross, Square};
use crate::sound::Row;
use crate::sound::cholesky::SymmetricMatrix;
use crate::sound::round::{add_up, gamma, mul_up, sqrt_up};

/// Rows that are multiplied together before they are added to the matrix: keeps the sums short.
const CHUNK: usize = 64;

/// The columns of `rows` as rows. Each column's error is at most that of the whole matrix in the Frobenius norm.
pub(super) fn transposed(rows: &[Row], columns: usize) -> Vec<Row> {
    let radius = sqrt_up(rows.iter().fold(0.0, |sum, row| add_up(sum, mul_up(row.radius(), row.radius()))));
    let entry = |row: &Row, column: usize| row.coordinate(column);
    (0..columns)
        .map(|column| {
            let hi = rows.iter().map(|row| entry(row, column).hi()).collect();
            let lo = rows.iter().map(|row| entry(row, column).lo()).collect();
            Row::from_parts(0, hi, lo, radius)
        })
        .collect()
}

/// The sum of the terms, with its radius; `inputs` is what the first coordinates have on the diagonal.
pub(super) fn assemble(dimension: usize, inputs: &[f64], squares: &[Square], crosses: &[Cross]) -> (SymmetricMatrix, Vec<f64>) {
    let mut matrix = SymmetricMatrix::new(dimension);
    inputs.iter().enumerate().for_each(|(i, &value)| matrix.set(i, i, value));
    // A row without a span is zero, whatever its radius: it lies within its span.
    let (unit, dense): (Vec<&Square>, Vec<&Square>) =
        squares.iter().filter(|square| !square.row.is_empty()).partition(|square| is_unit(square.row));
    for square in &unit {
        matrix.add_assign(square.row.start(), square.row.start(), square.weight.value());
    }
    for cross in crosses {
        add_cross(&mut matrix, cross);
    }
    for chunk in dense.chunks(CHUNK) {
        add_squares(&mut matrix, chunk);
    }
    // An entry sums: an input multiplier; unit squares and crosses that meet there; one sum of CHUNK products per chunk.
    let meeting = count_meeting(dimension, &unit, crosses);
    let error = gamma(1 + meeting + CHUNK + dense.len().div_ceil(CHUNK) + 6);
    let radius = radius(&matrix, inputs, error, squares, crosses);
    (matrix, radius)
}

fn is_unit(row: &Row) -> bool {
    row.hi() == [1.0] && row.lo() == [0.0] && row.radius() == 0.0
}

/// At most how many unit squares and crosses meet in one entry. A cross reaches only entries in a row or column of its
/// right side, so the crosses over one right coordinate bound it.
fn count_meeting(dimension: usize, unit: &[&Square], crosses: &[Cross]) -> usize {
    let mut count = vec![0usize; dimension];
    unit.iter().for_each(|square| count[square.row.start()] += 1);
    for cross in crosses {
        count[cross.right.start()..cross.right.end()].iter_mut().for_each(|count| *count += 1);
    }
    // An entry (i, j) may be reached through i and through j.
    2 * count.into_iter().max().unwrap_or(0)
}

fn add_cross(matrix: &mut SymmetricMatrix, cross: &Cross) {
    for (j, &right) in (cross.right.start()..).zip(cross.right.hi()) {
        let scaled = cross.weight.value() * right;
        for (i, &left) in (cross.left.start()..).zip(cross.left.hi()) {
            // Entry (i, j) stands for (j, i) too; on the diagonal both products fall together.
            let value = scaled * left;
            matrix.add_assign(i, j, if i == j { 2.0 * value } else { value });
        }
    }
}

/// Adds `Σ weight·row·rowᵀ` over the common span of a chunk.
fn add_squares(matrix: &mut SymmetricMatrix, chunk: &[&Square]) {
    let start = chunk.iter().map(|square| square.row.start()).min().unwrap_or(0);
    let end = chunk.iter().map(|square| square.row.end()).max().unwrap_or(0);
    let width = end - start;
    // Padded to a multiple of four rows of zeros.
    let padded = chunk.len().next_multiple_of(4);
    let mut rows = vec![0.0; padded * width];
    for (square, row) in chunk.iter().zip(rows.chunks_exact_mut(width.max(1))) {
        let offset = square.row.start() - start;
        row[offset..offset + square.row.len()].copy_from_slice(square.row.hi());
    }
    let mut sum = vec![0.0; width];
    for i in 0..width {
        let sum = &mut sum[..=i];
        sum.fill(0.0);
        for (four, weights) in rows.chunks_exact(4 * width).zip(chunk.chunks(4)) {
            let weight = |k: usize| weights.get(k).map_or(0.0, |square| square.weight.value() * four[k * width + i]);
            let factors = [weight(0), weight(1), weight(2), weight(3)];
            if factors == [0.0; 4] {
                continue;
            }
            let (a, rest) = four.split_at(width);
            let (b, rest) = rest.split_at(width);
            let (c, d) = rest.split_at(width);
            let columns = a[..=i].iter().zip(&b[..=i]).zip(c[..=i].iter().zip(&d[..=i]));
            for (sum, ((a, b), (c, d))) in sum.iter_mut().zip(columns) {
                *sum += (factors[0] * a + factors[1] * b) + (factors[2] * c + factors[3] * d);
            }
        }
        let target = &mut matrix.row_mut(start + i)[start..=start + i];
        target.iter_mut().zip(sum.iter()).for_each(|(target, sum)| *target += sum);
    }
}
