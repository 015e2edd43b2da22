//! The matrix `F(τ, λ)` of a form, in `f64`, with a bound on everything that rounding did to it.
//!
//! Every entry is a sum of terms `w·a·b`, `w` a [`Weight`] and `a`, `b` entries of rows. What rounding, underflow and the
//! rows' own errors can have done is charged as a diagonal radius, `|xᵀEx| ≤ Σ r_i x_i²`; the analysis stands in `charges`.
//! No term is left out because its product is small: `term` decides on the factors.

mod assembly;
mod charges;
mod term;

use assembly::{assemble, transposed};
use term::{Cross, SMALLEST_FACTOR, Square, Weight};

use super::{Form, Rows};
use crate::sound::Row;
use crate::sound::cholesky::{NotProved, SymmetricMatrix, prove_each_border, prove_positive_definite};

/// `F(τ, λ)` with its radius.
pub struct QuadraticForm {
    matrix: SymmetricMatrix,
    /// `|xᵀ(F − matrix)x| ≤ Σ radius_i x_i²`.
    radius: Vec<f64>,
    /// So many of the first coordinates are inputs: none where the matrix is that of the outputs.
    inputs: usize,
}

/// Matrices of a larger order are not built: two copies take 1.7 GB.
const MAX_ORDER: usize = 12_000;
/// Squares and crosses of one matrix: the error analysis allows for so many.
const MAX_TERMS: usize = 1 << 21;
/// Entries of the columns of a linear form, of which two copies take 1 GB.
const MAX_COLUMN_ENTRIES: usize = 1 << 25;

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
    #[error("a group's slopes are too small or too large for the error analysis")]
    Slopes,
    #[error("a group has not one result for every argument")]
    Pairs,
}

impl QuadraticForm {
    /// `F(τ, λ)` for one input multiplier, or one per input, and one multiplier per group.
    ///
    /// # Errors
    /// [`MatrixError`], before anything large is allocated.
    ///
    /// With one input multiplier `ρ`, without groups and with fewer outputs than inputs it is `ρI − CCᵀ`, which is definite
    /// exactly when `ρI − CᵀC` is.
    pub fn new(rows: &Rows, input_multipliers: &[f64], multipliers: &[f64]) -> Result<Self, MatrixError> {
        let sizes = Sizes::of_rows(rows);
        sizes.admit(input_multipliers, multipliers)?;
        let input = |i: usize| input_multipliers.get(i).or(input_multipliers.first()).copied().unwrap_or(0.0);
        if sizes.by_outputs(input_multipliers) {
            let columns = transposed(&rows.outputs, sizes.inputs);
            let (matrix, radius) = assemble(sizes.outputs, &vec![input(0); sizes.outputs], &negative_squares(&columns), &[]);
            return Ok(Self { matrix, radius, inputs: 0 });
        }
        let inputs: Vec<f64> = (0..sizes.inputs).map(input).collect();
        over_coordinates(rows, &inputs, negative_squares(&rows.outputs), multipliers)
    }

    /// `F(τ, λ)` with one multiplier per input and the outputs' squares weighted: `diag(τ)_x − Cᵀ·diag(ω)·C − Σ_g λ_g·Q_g`.
    ///
    /// # Errors
    /// [`MatrixError`], before anything large is allocated.
    pub fn weighted(
        rows: &Rows,
        input_multipliers: &[f64],
        output_weights: &[f64],
        multipliers: &[f64],
    ) -> Result<Self, MatrixError> {
        let sizes = Sizes::of_rows(rows);
        sizes.admit(input_multipliers, multipliers)?;
        if input_multipliers.len() != sizes.inputs {
            return Err(MatrixError::InputMultipliers);
        }
        if output_weights.len() != sizes.outputs {
            return Err(MatrixError::OutputWeights);
        }
        let square = |(row, &weight)| Some(Square { weight: Weight::of_output(weight)?, row });
        let outputs: Option<Vec<Square>> = rows.outputs.iter().zip(output_weights).map(square).collect();
        over_coordinates(rows, input_multipliers, outputs.ok_or(MatrixError::OutputWeights)?, multipliers)
    }

    /// Proves that the true `F` is positive definite.
    ///
    /// # Errors
    /// Why the proof did not go through; the matrix may still be definite.
    pub fn prove(&self) -> Result<(), NotProved> {
        prove_positive_definite(&self.matrix, &self.radius)
    }

    /// Proves that the true `F` is positive definite wherever at most one of the inputs is not zero.
    ///
    /// # Errors
    /// Why the proof did not go through for some input.
    pub fn prove_each_input(&self) -> Result<(), NotProved> {
        prove_each_border(&self.matrix, &self.radius, self.inputs)
    }
}

/// The matrix over all coordinates; `squares` are those of the outputs.
fn over_coordinates<'a>(
    rows: &'a Rows,
    inputs: &[f64],
    mut squares: Vec<Square<'a>>,
    multipliers: &[f64],
) -> Result<QuadraticForm, MatrixError> {
    let mut crosses = Vec::new();
    for (group, &multiplier) in rows.groups.iter().zip(multipliers) {
        if group.arguments.len() != group.results.len() {
            return Err(MatrixError::Pairs);
        }
        let weights = Weight::of_group(multiplier, group.slopes)?;
        if let Some(weight) = weights.arguments {
            squares.extend(group.arguments.iter().map(|row| Square { weight, row }));
        }
        if let Some(weight) = weights.results {
            squares.extend(group.results.iter().map(|row| Square { weight, row }));
        }
        if let Some(weight) = weights.pairs {
            let pairs = group.arguments.iter().zip(&group.results);
            crosses.extend(pairs.map(|(left, right)| Cross { weight, left, right }));
        }
    }
    let (matrix, radius) = assemble(rows.dimension(), inputs, &squares, &crosses);
    Ok(QuadraticForm { matrix, radius, inputs: inputs.len() })
}

/// Whether a matrix can be built at all; cheap, so that rows need not be computed for nothing.
///
/// # Errors
/// [`MatrixError`].
pub fn admit(form: &Form, input_multipliers: &[f64], multipliers: &[f64]) -> Result<(), MatrixError> {
    Sizes::of_form(form).admit(input_multipliers, multipliers)
}

/// What decides which matrix is built and how large it is, taken from one value: the rows that it is built of, or the form
/// that they will be of.
#[derive(Clone, Copy)]
struct Sizes {
    inputs: usize,
    dimension: usize,
    outputs: usize,
    groups: usize,
    arguments: usize,
}

impl Sizes {
    fn of_rows(rows: &Rows) -> Self {
        Self {
            inputs: rows.inputs(),
            dimension: rows.dimension(),
            outputs: rows.outputs.len(),
            groups: rows.groups.len(),
            arguments: rows.groups.iter().map(|group| group.arguments.len()).sum(),
        }
    }

    fn of_form(form: &Form) -> Self {
        Self {
            inputs: form.inputs,
            dimension: form.dimension,
            outputs: form.outputs.len(),
            groups: form.groups.len(),
            arguments: form.groups.iter().map(|group| group.arguments.len()).sum(),
        }
    }

    fn admit(self, input_multipliers: &[f64], multipliers: &[f64]) -> Result<(), MatrixError> {
        let admissible = |&value: &f64| value == 0.0 || (value >= SMALLEST_FACTOR && value.is_finite());
        if multipliers.len() != self.groups || !multipliers.iter().all(admissible) {
            return Err(MatrixError::Multipliers);
        }
        let count = input_multipliers.len();
        if (count != 1 && count != self.inputs) || !input_multipliers.iter().all(|value| *value >= 0.0 && value.is_finite()) {
            return Err(MatrixError::InputMultipliers);
        }
        let order = if self.by_outputs(input_multipliers) { self.outputs } else { self.dimension };
        let terms = self.outputs.saturating_add(self.arguments.saturating_mul(3));
        if order > MAX_ORDER || terms > MAX_TERMS { Err(MatrixError::TooLarge(order)) } else { Ok(()) }
    }

    /// Whether the matrix of the outputs is used instead of that of the inputs.
    fn by_outputs(self, input_multipliers: &[f64]) -> bool {
        let entries = self.inputs.saturating_mul(self.outputs);
        input_multipliers.len() == 1 && self.groups == 0 && self.outputs < self.inputs && entries <= MAX_COLUMN_ENTRIES
    }
}

fn negative_squares(rows: &[Row]) -> Vec<Square<'_>> {
    rows.iter().map(|row| Square { weight: Weight::MINUS_ONE, row }).collect()
}

#[cfg(test)]
mod magnitudes;
#[cfg(test)]
mod tests;
