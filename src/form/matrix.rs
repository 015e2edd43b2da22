//! The matrix `F(τ, λ)` of a form, in `f64`, with a bound on everything that rounding did to it.
//!
//! Error analysis. Every entry is a sum of at most `n` products of a weight and two row entries; the weight takes at most
//! three roundings, each product two more. Hence `|fl(F) − F̂| ≤ γ_{n+6}·Σ|terms|` entrywise (Higham, Accuracy and
//! Stability, section 3.1), where `F̂` uses the leading parts of the rows; replacing a row `r` by its leading part `h` with
//! `‖S(r − h)‖ ≤ e` changes `w·(r·x)²` by at most `|w|(2‖Sh‖e + e²)·‖S⁻¹x‖²` over the row's span, for any diagonal `S > 0`.
//! Both are charged, term by term, as a diagonal radius: `|xᵀEx| ≤ Σ r_i x_i²`.

use super::{Form, Rows};
use crate::sound::Row;
use crate::sound::cholesky::{NotProved, SymmetricMatrix, prove_each_border, prove_positive_definite};
use crate::sound::round::{SMALLEST_SUBNORMAL, gamma, mul_up, scale_pow2};

/// Rows that are multiplied together before they are added to the matrix: keeps the sums short.
const CHUNK: usize = 64;
/// Covers the roundings of a computation of non-negative terms with fewer than 2²² operations.
const SLACK: f64 = 1.0 + 1.0 / (1u64 << 30) as f64;
/// Added to norms: covers squares that underflow.
const TINY: f64 = f64::from_bits((1023 - 500) << 52);

/// `F(τ, λ)` with its radius.
pub struct QuadraticForm {
    matrix: SymmetricMatrix,
    /// `|xᵀ(F − matrix)x| ≤ Σ radius_i x_i²`.
    radius: Vec<f64>,
}

/// `weight·row·rowᵀ`.
struct Square<'a> {
    weight: f64,
    row: &'a Row,
}

/// `weight·(left·rightᵀ + right·leftᵀ)`.
struct Cross<'a> {
    weight: f64,
    left: &'a Row,
    right: &'a Row,
}

/// Matrices of a larger order are not built: two copies take 1.7 GB.
const MAX_ORDER: usize = 12_000;
/// Squares and crosses of one matrix: the error analysis allows for so many.
const MAX_TERMS: usize = 1 << 21;
/// Entries of the columns of a linear form, of which two copies take 1 GB.
const MAX_COLUMN_ENTRIES: usize = 1 << 25;
/// Multipliers and products of slopes that are smaller, but not zero, are refused: their products could underflow.
const SMALLEST_FACTOR: f64 = 1e-100;

/// Why there is no matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MatrixError {
    #[error("the multipliers are not one number per group, each zero or positive, finite and not tiny")]
    Multipliers,
    #[error("the input multipliers are not one number, or one per input, each finite and not negative")]
    InputMultipliers,
    #[error("the output weights are not one number per output, each positive, finite and not tiny")]
    OutputWeights,
    #[error("its matrix would have the order {0}, above the limit of {MAX_ORDER}")]
    TooLarge(usize),
    #[error("a group's slopes are too small for the error analysis")]
    Slopes,
}

impl QuadraticForm {
    /// `F(τ, λ)` for one input multiplier, or one per input, and one multiplier per group.
    ///
    /// # Errors
    /// [`MatrixError`], before anything large is allocated.
    ///
    /// With one input multiplier `ρ`, without groups and with fewer outputs than inputs it is `ρI − CCᵀ`, which is definite
    /// exactly when `ρI − CᵀC` is.
    pub fn new(form: &Form, rows: &Rows, input_multipliers: &[f64], multipliers: &[f64]) -> Result<Self, MatrixError> {
        admit(form, input_multipliers, multipliers)?;
        let input = |i: usize| input_multipliers.get(i).or(input_multipliers.first()).copied().unwrap_or(0.0);
        if by_outputs(form, input_multipliers) {
            let columns = transposed(&rows.outputs, form.inputs);
            let order = form.outputs.len();
            return Ok(assemble(order, &vec![input(0); order], &negative_squares(&columns), &[]));
        }
        let inputs: Vec<f64> = (0..form.inputs).map(input).collect();
        over_coordinates(form, rows, &inputs, negative_squares(&rows.outputs), multipliers)
    }

    /// `F(τ, λ)` with one multiplier per input and the outputs' squares weighted: `diag(τ)_x − Cᵀ·diag(ω)·C − Σ_g λ_g·Q_g`.
    ///
    /// # Errors
    /// [`MatrixError`], before anything large is allocated.
    pub fn weighted(
        form: &Form,
        rows: &Rows,
        input_multipliers: &[f64],
        output_weights: &[f64],
        multipliers: &[f64],
    ) -> Result<Self, MatrixError> {
        admit(form, input_multipliers, multipliers)?;
        let admissible = |&weight: &f64| weight >= SMALLEST_FACTOR && weight.is_finite();
        if input_multipliers.len() != form.inputs {
            return Err(MatrixError::InputMultipliers);
        }
        if output_weights.len() != rows.outputs.len() || !output_weights.iter().all(admissible) {
            return Err(MatrixError::OutputWeights);
        }
        let outputs = rows.outputs.iter().zip(output_weights).map(|(row, weight)| Square { weight: -weight, row }).collect();
        over_coordinates(form, rows, input_multipliers, outputs, multipliers)
    }

    /// Proves that the true `F` is positive definite.
    ///
    /// # Errors
    /// Why the proof did not go through; the matrix may still be definite.
    pub fn prove(&self) -> Result<(), NotProved> {
        prove_positive_definite(&self.matrix, &self.radius)
    }

    /// Proves that the true `F` is positive definite wherever at most one of the first `inputs` coordinates is not zero.
    ///
    /// # Errors
    /// Why the proof did not go through for some input.
    pub fn prove_each_input(&self, inputs: usize) -> Result<(), NotProved> {
        prove_each_border(&self.matrix, &self.radius, inputs)
    }
}

/// The matrix over all coordinates; `squares` are those of the outputs.
fn over_coordinates<'a>(
    form: &Form,
    rows: &'a Rows,
    inputs: &[f64],
    mut squares: Vec<Square<'a>>,
    multipliers: &[f64],
) -> Result<QuadraticForm, MatrixError> {
    let mut crosses = Vec::new();
    for ((group, group_rows), &multiplier) in form.groups.iter().zip(&rows.groups).zip(multipliers) {
        let (alpha, beta) = (group.slopes.lower, group.slopes.upper);
        let product = alpha * beta;
        if product.abs() < SMALLEST_FACTOR && alpha != 0.0 && beta != 0.0 {
            return Err(MatrixError::Slopes);
        }
        let weight = multiplier * product;
        squares.extend(group_rows.arguments.iter().filter(|_| weight != 0.0).map(|row| Square { weight, row }));
        squares.extend(group_rows.results.iter().map(|row| Square { weight: multiplier, row }));
        let weight = -0.5 * multiplier * (alpha + beta);
        let pairs = group_rows.arguments.iter().zip(&group_rows.results).filter(|_| weight != 0.0);
        crosses.extend(pairs.map(|(left, right)| Cross { weight, left, right }));
    }
    Ok(assemble(form.dimension, inputs, &squares, &crosses))
}

/// Whether a matrix can be built at all; cheap, so that rows need not be computed for nothing.
///
/// # Errors
/// [`MatrixError`].
pub fn admit(form: &Form, input_multipliers: &[f64], multipliers: &[f64]) -> Result<(), MatrixError> {
    let admissible = |&value: &f64| value == 0.0 || (value >= SMALLEST_FACTOR && value.is_finite());
    if multipliers.len() != form.groups.len() || !multipliers.iter().all(admissible) {
        return Err(MatrixError::Multipliers);
    }
    let count = input_multipliers.len();
    if (count != 1 && count != form.inputs) || !input_multipliers.iter().all(|value| *value >= 0.0 && value.is_finite()) {
        return Err(MatrixError::InputMultipliers);
    }
    let order = if by_outputs(form, input_multipliers) { form.outputs.len() } else { form.dimension };
    let terms = form.outputs.len() + 3 * form.groups.iter().map(|group| group.arguments.len()).sum::<usize>();
    if order > MAX_ORDER || terms > MAX_TERMS { Err(MatrixError::TooLarge(order)) } else { Ok(()) }
}

/// Is the matrix of the outputs used instead of that of the inputs?
fn by_outputs(form: &Form, input_multipliers: &[f64]) -> bool {
    let entries = form.inputs.saturating_mul(form.outputs.len());
    input_multipliers.len() == 1 && form.groups.is_empty() && form.outputs.len() < form.inputs && entries <= MAX_COLUMN_ENTRIES
}

fn negative_squares(rows: &[Row]) -> Vec<Square<'_>> {
    rows.iter().map(|row| Square { weight: -1.0, row }).collect()
}

/// The columns of `rows` as rows. Each column's error is at most that of the whole matrix in the Frobenius norm.
fn transposed(rows: &[Row], columns: usize) -> Vec<Row> {
    let radius = SLACK * rows.iter().map(|row| row.radius() * row.radius()).sum::<f64>().sqrt() + TINY;
    let radius = if rows.iter().all(|row| row.radius() == 0.0) { 0.0 } else { radius };
    let entry = |row: &Row, column: usize| row.coordinate(column);
    (0..columns)
        .map(|column| {
            let hi = rows.iter().map(|row| entry(row, column).hi()).collect();
            let lo = rows.iter().map(|row| entry(row, column).lo()).collect();
            Row::from_parts(0, hi, lo, radius)
        })
        .collect()
}

/// `inputs`: what the first coordinates have on the diagonal.
fn assemble(dimension: usize, inputs: &[f64], squares: &[Square], crosses: &[Cross]) -> QuadraticForm {
    let mut matrix = SymmetricMatrix::new(dimension);
    inputs.iter().enumerate().for_each(|(i, &value)| matrix.set(i, i, value));
    let (unit, dense): (Vec<&Square>, Vec<&Square>) =
        squares.iter().filter(|square| !square.row.is_empty()).partition(|square| is_unit(square.row));
    for square in &unit {
        matrix.add_assign(square.row.start(), square.row.start(), square.weight);
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
    QuadraticForm { matrix, radius }
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
        let scaled = cross.weight * right;
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
            let weight = |k: usize| weights.get(k).map_or(0.0, |square| square.weight * four[k * width + i]);
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

/// The diagonal radius: what rounding and the rows' own errors can have done (see the module's error analysis).
fn radius(matrix: &SymmetricMatrix, inputs: &[f64], error: f64, squares: &[Square], crosses: &[Cross]) -> Vec<f64> {
    let dimension = matrix.dimension();
    // S: powers of two that bring the diagonal near one.
    let scale: Vec<f64> = (0..dimension).map(|i| power_of_two_near_inverse_root(matrix.get(i, i))).collect();
    let mut charges = Charges { scale, amounts: vec![0.0; dimension] };
    for (i, input) in inputs.iter().enumerate() {
        let weight = charges.scale[i] * charges.scale[i];
        charges.amounts[i] += error * input * weight;
    }
    for square in squares {
        let (norm, deviation) = charges.measure(square.row);
        let amount = square.weight.abs() * (error * norm * norm + 2.0 * norm * deviation + deviation * deviation);
        charges.charge(square.row, amount);
    }
    for cross in crosses {
        // 2|a·x||b·x| ≤ ‖Sa‖‖Sb‖(‖S⁻¹x‖² over a's span + the same over b's).
        let (left, left_deviation) = charges.measure(cross.left);
        let (right, right_deviation) = charges.measure(cross.right);
        let deviation = left * right_deviation + right * left_deviation + left_deviation * right_deviation;
        let amount = cross.weight.abs() * (error * left * right + deviation);
        charges.charge(cross.left, amount);
        charges.charge(cross.right, amount);
    }
    let underflow = underflow(dimension, squares, crosses);
    let Charges { scale, amounts } = charges;
    let unscaled = amounts.iter().zip(&scale).map(|(amount, scale)| mul_up(SLACK * SLACK, amount / (scale * scale)));
    unscaled.map(|radius| mul_up(SLACK, radius + underflow)).collect()
}

struct Charges {
    scale: Vec<f64>,
    amounts: Vec<f64>,
}

impl Charges {
    /// Upper bounds of `‖S·h‖` for the leading part `h` and of `‖S(r − h)‖`.
    fn measure(&self, row: &Row) -> (f64, f64) {
        let scale = &self.scale[row.start()..row.end()];
        let norm = |values: &[f64]| {
            let sum: f64 = values.iter().zip(scale).map(|(value, scale)| (value * scale) * (value * scale)).sum();
            SLACK * sum.sqrt() + TINY
        };
        let largest = scale.iter().copied().fold(0.0, f64::max);
        (norm(row.hi()), norm(row.lo()) + SLACK * largest * row.radius())
    }

    fn charge(&mut self, row: &Row, amount: f64) {
        self.amounts[row.start()..row.end()].iter_mut().for_each(|total| *total += amount);
    }
}

/// What products that underflow can add to a row of the matrix: each loses at most the smallest subnormal times what it
/// is multiplied by afterwards. Infinite, hence a refusal, where the entries are absurdly large.
#[allow(clippy::cast_precision_loss)] // counts far below 2⁵³
fn underflow(dimension: usize, squares: &[Square], crosses: &[Cross]) -> f64 {
    let of_row = |row: &Row| row.hi().iter().fold(1.0, |max: f64, value| max.max(value.abs()));
    let squares_peak = squares.iter().fold(1.0, |max: f64, square| max.max(square.weight.abs()).max(of_row(square.row)));
    let peak = crosses
        .iter()
        .fold(squares_peak, |max, cross| max.max(cross.weight.abs()).max(of_row(cross.left)).max(of_row(cross.right)));
    let terms = (dimension * 8 * (1 + squares.len() + crosses.len())) as f64;
    SLACK * terms * (peak * peak) * SMALLEST_SUBNORMAL
}

/// Any positive scale is sound; this one makes the charges small.
fn power_of_two_near_inverse_root(value: f64) -> f64 {
    let exponent = -value.abs().log2() / 2.0;
    #[allow(clippy::cast_possible_truncation)] // within ±540, or not finite
    if exponent.is_finite() { scale_pow2(1.0, exponent.round() as i32) } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::{Segment, SortForm};
    use crate::ir::{Function, Network, NetworkBuilder, NodeId, Op, Tensor};

    fn network(weights: &[(usize, usize, Vec<f64>)], function: &Function) -> Network {
        let mut builder = NetworkBuilder::new();
        let mut signal: NodeId = builder.push("x", "", Op::Input, &[], vec![1, 1, weights[0].0]).unwrap();
        for (layer, (rows, columns, data)) in weights.iter().enumerate() {
            let shape = vec![1, *rows, *columns];
            let tensor = Tensor::new(shape.clone(), data.clone()).unwrap();
            let constant = builder.push("w", "", Op::Constant(tensor), &[], shape).unwrap();
            signal = builder.push("m", "MatMul", Op::MatMul, &[signal, constant], vec![1, 1, *columns]).unwrap();
            if layer + 1 < weights.len() {
                signal = builder.push("f", "", Op::Function(function.clone()), &[signal], vec![1, 1, *columns]).unwrap();
            }
        }
        builder.finish(signal).unwrap()
    }

    fn proves(network: &Network, squared_bound: f64, multipliers: &[f64]) -> bool {
        let form = Form::new(network, Segment::whole(network), SortForm::Comparators).unwrap();
        let rows = Rows::new(&form).unwrap();
        QuadraticForm::new(&form, &rows, &[squared_bound], multipliers).is_ok_and(|form| form.prove().is_ok())
    }

    #[test]
    fn a_linear_network_is_proved_just_above_its_norm_and_never_below() {
        // [[3, 0], [4, 5]] has squared norm 45.
        for weights in [vec![3.0, 0.0, 4.0, 5.0], vec![3.0, 4.0, 0.0, 5.0]] {
            let network = network(&[(2, 2, weights)], &Function::Relu);
            assert!(proves(&network, 45.0 * (1.0 + 1e-12), &[]));
            assert!(!proves(&network, 45.0, &[]));
            assert!(!proves(&network, 45.0 * (1.0 - 1e-15), &[]));
        }
    }

    #[test]
    fn one_relu_has_the_constant_of_its_weights() {
        // x ↦ 2·relu(3x): constant 6; λ with F = [ρ, −3λ/2; −3λ/2, λ − 4]: λ = 8, ρ = 36.
        let network = network(&[(1, 1, vec![3.0]), (1, 1, vec![2.0])], &Function::Relu);
        assert!(proves(&network, 36.0 * (1.0 + 1e-12), &[8.0]));
        assert!(!proves(&network, 36.0 * (1.0 - 1e-12), &[8.0]));
        assert!(!proves(&network, 36.0 * (1.0 + 1e-12), &[3.9]));
    }

    #[test]
    fn each_input_has_its_own_multiplier_on_demand() {
        // |x₁ + 2x₂| ≤ L·max|x_i| with L² = τ₁ + τ₂ for 1/τ₁ + 4/τ₂ ≤ 1: τ = (3, 6), L = 3.
        let network = network(&[(2, 1, vec![1.0, 2.0])], &Function::Relu);
        let form = Form::new(&network, Segment::whole(&network), SortForm::Comparators).unwrap();
        let rows = Rows::new(&form).unwrap();
        let proves = |inputs: &[f64]| QuadraticForm::new(&form, &rows, inputs, &[]).is_ok_and(|form| form.prove().is_ok());
        assert!(proves(&[3.0 + 1e-12, 6.0 + 1e-12]));
        assert!(!proves(&[3.0, 6.0 - 1e-12]));
        assert!(!proves(&[3.0, 6.0, 1.0]) && !proves(&[]) && !proves(&[7.0, f64::NAN]) && !proves(&[-1.0, 100.0]));
    }

    #[test]
    fn inadmissible_multipliers_build_no_matrix() {
        let network = network(&[(1, 1, vec![3.0]), (1, 1, vec![2.0])], &Function::Relu);
        let form = Form::new(&network, Segment::whole(&network), SortForm::Comparators).unwrap();
        let rows = Rows::new(&form).unwrap();
        for (bound, multipliers) in [
            (40.0, vec![]),
            (40.0, vec![-1.0]),
            (40.0, vec![1e-120]),
            (40.0, vec![f64::NAN]),
            (f64::INFINITY, vec![8.0]),
            (-1.0, vec![8.0]),
        ] {
            assert!(QuadraticForm::new(&form, &rows, &[bound], &multipliers).is_err());
        }
    }
}
