//! What rounding, underflow and the rows' own errors can have done to a matrix, as a diagonal radius.
//!
//! Error analysis, with `u = 2⁻⁵³` and `η = 2⁻¹⁰⁷⁴`. Entry `(i, j)` of the matrix sums an input multiplier, exact, and terms
//! `w·a_i·b_j` of squares (`a = b`) and crosses. Rows are replaced by their leading parts.
//!
//! *Relative rounding.* A [`super::term::Weight`] is a normal number within three roundings of the true weight, two products
//! round once more each, and of the sum each term is rounded at most as often as `assembly` counts. Hence the computed entry
//! is within `γ_n·Σ|terms|` of the true one (Higham, *Accuracy and Stability*, section 3.1), underflow apart. With any
//! diagonal `S > 0`, by Cauchy and Schwarz, a square of weight `w` contributes at most `γ_n|w|·‖Sa‖²·‖S⁻¹x‖²`, the norms over
//! the row's span, and a cross at most `γ_n|w|·‖Sa‖‖Sb‖·(‖S⁻¹x‖²_a + ‖S⁻¹x‖²_b)`.
//!
//! *Rows.* With `‖S(r − h)‖ ≤ e` for a row `r` and its leading part `h`, `w·(r·x)²` moves by at most
//! `|w|(2‖Sh‖e + e²)·‖S⁻¹x‖²`; a product of two rows accordingly.
//!
//! *Underflow.* A product that is rounded to a subnormal number or to zero is off by at most `η/2` more than by its relative
//! rounding, and what is multiplied with it afterwards multiplies that. Weights do not underflow. `fl(fl(w·a_i)·b_j)` loses
//! at most `η/2·|b_j|` in the inner product and `η/2` in the outer one: at most `ηP`, where `P ≥ 1` bounds the magnitudes of
//! all entries of all rows that stand second, and so of all rows, whatever they were multiplied with first. Doubled on the
//! diagonal, and with two products of a cross in one entry, a term loses at most `4ηP` per entry, and sums grow that by less
//! than a factor of two. Sums themselves do not underflow. The charge is `8·n·(terms + 1)·ηP` in every coordinate, since
//! `|xᵀEx| ≤ n·max|E_ij|·‖x‖²`. Every term counts, one whose computed products all vanish too.
//!
//! *The charges themselves.* `S` has powers of two between 2⁻⁵⁰⁰ and 2⁵⁰⁰, so that their squares and quotients by them are
//! exact but for underflow. A norm `‖Sh‖` whose square is above `2⁻⁹⁰⁰` and finite is computed as it stands: relative errors,
//! which [`SLACK`] covers, and underflow that is nothing beside them; any other is taken from [`Row`], which scales. What is
//! made of norms is rounded up, step by step, underflow included. Sums over the terms round to nearest, and none of their
//! terms is negative: [`SLACK`] again.
//!
//! Trusted. It must not charge less than what the analysis above says, nor know what the matrix is for.

use super::term::{Cross, Square};
use crate::sound::Row;
use crate::sound::cholesky::SymmetricMatrix;
use crate::sound::round::{SMALLEST_SUBNORMAL, add_up, div_up, max_or_nan, mul_up, scale_pow2};

/// Covers the roundings of a computation of non-negative terms with at most 2²² operations, and those of a weight. There are
/// fewer terms than that: [`super::MAX_TERMS`], or as many as a form has inputs.
const SLACK: f64 = 1.0 + 1.0 / (1u64 << 30) as f64;
/// Squares of norms at least this large, 2⁻⁹⁰⁰, are far from underflow.
const LEAST_SQUARE: f64 = f64::from_bits((1023 - 900) << 52);
/// The largest exponent of a scale, in magnitude.
const LARGEST_EXPONENT: f64 = 500.0;

/// `r` with `|xᵀEx| ≤ Σ r_i x_i²` for all that the error `E` of the matrix can be; `error` is the relative rounding of its
/// entries. Infinite or NaN, hence a refusal, where something overflows.
pub(super) fn radius(matrix: &SymmetricMatrix, inputs: &[f64], error: f64, squares: &[Square], crosses: &[Cross]) -> Vec<f64> {
    let dimension = matrix.dimension();
    // S: powers of two that bring the diagonal near one.
    let scale: Vec<f64> = (0..dimension).map(|i| power_of_two_near_inverse_root(matrix.get(i, i))).collect();
    let mut charges = Charges { scale, amounts: vec![0.0; dimension] };
    for (i, input) in inputs.iter().enumerate() {
        let weight = charges.scale[i] * charges.scale[i];
        charges.amounts[i] += mul_up(mul_up(error, *input), weight);
    }
    for square in squares {
        let (norm, deviation) = charges.measure(square.row);
        let rounding = mul_up(error, mul_up(norm, norm));
        let moved = mul_up(deviation, add_up(mul_up(2.0, norm), deviation));
        charges.charge(square.row, mul_up(square.weight.value().abs(), add_up(rounding, moved)));
    }
    for cross in crosses {
        // 2|a·x||b·x| ≤ ‖Sa‖‖Sb‖(‖S⁻¹x‖² over a's span + the same over b's).
        let (left, left_deviation) = charges.measure(cross.left);
        let (right, right_deviation) = charges.measure(cross.right);
        let rounding = mul_up(error, mul_up(left, right));
        let moved = add_up(mul_up(left, right_deviation), mul_up(left_deviation, add_up(right, right_deviation)));
        let amount = mul_up(cross.weight.value().abs(), add_up(rounding, moved));
        charges.charge(cross.left, amount);
        charges.charge(cross.right, amount);
    }
    let underflow = underflow(dimension, squares, crosses);
    let Charges { scale, amounts } = charges;
    let unscaled = amounts.iter().zip(&scale).map(|(amount, scale)| div_up(mul_up(SLACK, *amount), scale * scale));
    unscaled.map(|radius| add_up(radius, underflow)).collect()
}

struct Charges {
    scale: Vec<f64>,
    amounts: Vec<f64>,
}

impl Charges {
    /// Upper bounds of `‖S·h‖` for the leading part `h` and of `‖S(r − h)‖`.
    fn measure(&self, row: &Row) -> (f64, f64) {
        let scale = &self.scale[row.start()..row.end()];
        let norm = |values: &[f64]| norm(values, scale);
        let largest = scale.iter().copied().fold(0.0, max_or_nan);
        (norm(row.hi()), add_up(norm(row.lo()), mul_up(largest, row.radius())))
    }

    fn charge(&mut self, row: &Row, amount: f64) {
        self.amounts[row.start()..row.end()].iter_mut().for_each(|total| *total += amount);
    }
}

/// An upper bound of `‖S·values‖`.
#[allow(clippy::cast_precision_loss)] // counts far below 2⁵³
fn norm(values: &[f64], scale: &[f64]) -> f64 {
    let scaled = || values.iter().zip(scale).map(|(value, scale)| value * scale);
    let square: f64 = scaled().map(|value| value * value).sum();
    if (LEAST_SQUARE..=f64::MAX).contains(&square) {
        return SLACK * square.sqrt();
    }
    if values.iter().all(|&value| value == 0.0) {
        return 0.0;
    }
    // Entries that underflow where they are scaled lose at most the smallest number each.
    add_up(Row::exact(0, scaled().collect()).hi_norm_upper(), mul_up(values.len() as f64, SMALLEST_SUBNORMAL))
}

/// What products that underflow can add to a row of the matrix.
#[allow(clippy::cast_precision_loss)] // counts far below 2⁵³
fn underflow(dimension: usize, squares: &[Square], crosses: &[Cross]) -> f64 {
    let largest = |peak: f64, row: &Row| row.hi().iter().fold(peak, |peak, value| max_or_nan(peak, value.abs()));
    let peak = squares.iter().fold(1.0, |peak, square| largest(peak, square.row));
    let peak = crosses.iter().fold(peak, |peak, cross| largest(largest(peak, cross.left), cross.right));
    let products = 8.0 * dimension as f64 * (1 + squares.len() + crosses.len()) as f64;
    mul_up(mul_up(products, SMALLEST_SUBNORMAL), peak)
}

/// Any positive scale is sound; this one makes the charges small.
fn power_of_two_near_inverse_root(value: f64) -> f64 {
    let exponent = -value.abs().log2() / 2.0;
    #[allow(clippy::cast_possible_truncation)] // within ±500
    if exponent.is_finite() { scale_pow2(1.0, exponent.round().clamp(-LARGEST_EXPONENT, LARGEST_EXPONENT) as i32) } else { 1.0 }
}
