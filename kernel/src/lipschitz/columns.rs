//! ℓ1: a constant from ℓ1 is the largest of its columns', one per input, for one walks from `x` to `y` along coordinates.
//!
//! `F(τ, ω, λ) = diag(τ)_x − Cᵀ·diag(ω)·C − Σ_g λ_g·Q_g` that is positive definite wherever at most one input `i` is not zero
//! gives `Σ_k ω_k |Δy_k|² ≤ τ_i |Δx_i|²` along that coordinate, hence by Cauchy and Schwarz
//!
//! ```text
//! Σ_k |Δy_k| ≤ √(Σ_k 1/ω_k) · √(Σ_k ω_k |Δy_k|²) ≤ √(τ_i · Σ_k 1/ω_k) · |Δx_i|
//! ```
//!
//! for pairs that differ in this input alone. A box that contains `x` and `y` contains the walk. Each inequality bounds every
//! column, so several of them never leave one out; of each column the smallest bound counts.

use super::column_growth::column_growth;
use super::inequality::{MatrixRefusal, Multipliers, form};
use super::refusal::LipschitzRefusal;
use crate::lipschitz::form::{MatrixError, QuadraticForm, Rows, Segment};
use crate::model::ir::{Intervals, Network};
use crate::proof::{Bundle, Content, Functional, Inequality, Sorts};
use crate::sound::round::{div_up, max_or_nan, mul_up, sqrt_up, sum_up};

/// Proves for each input a constant from its absolute value into ℓ1 of the outputs; passes use it to find multipliers that
/// close.
///
/// # Errors
/// [`MatrixRefusal`].
pub fn prove_columns(
    rows: &Rows,
    input_multipliers: &[f64],
    output_weights: &[f64],
    multipliers: &[f64],
) -> Result<Vec<f64>, MatrixRefusal> {
    QuadraticForm::weighted(rows, input_multipliers, output_weights, multipliers)
        .map_err(MatrixRefusal::NoMatrix)?
        .prove_each_input()
        .map_err(MatrixRefusal::NotDefinite)?;
    let spread = sum_up(output_weights.iter().map(|weight| div_up(1.0, *weight)));
    Ok(input_multipliers.iter().map(|multiplier| sqrt_up(mul_up(*multiplier, spread))).collect())
}

impl Functional {
    /// Weights of the outputs with which the sum of their absolute values bounds the functional's.
    #[must_use]
    pub fn absolute(&self, outputs: usize) -> Vec<f64> {
        let (plus, minus) = self.positions();
        (0..outputs).map(|output| if output == plus || Some(output) == minus { 1.0 } else { 0.0 }).collect()
    }
}

/// The columns of the whole network, or of one functional.
pub(super) struct Columns<'a> {
    pub functional: Option<Functional>,
    pub inequalities: &'a [Inequality],
}

impl Columns<'_> {
    /// The weights of the outputs whose absolute values bound what is bounded.
    pub fn weights(&self, network: &Network) -> Vec<f64> {
        let outputs = network.output_size();
        self.functional.map_or_else(|| vec![1.0; outputs], |functional| functional.absolute(outputs))
    }

    /// Proves the constant from ℓ1: into ℓ1 of all outputs, or into the absolute value of the functional.
    ///
    /// # Errors
    /// [`LipschitzRefusal`]; where nothing bounds some column, of its node without a rule.
    pub fn prove(&self, network: &Network, bounds: Option<&Intervals>, bundle: &Bundle) -> Result<f64, LipschitzRefusal> {
        let growth = column_growth(network, &self.weights(network));
        let mut least = growth.clone().unwrap_or_else(|_| vec![f64::INFINITY; network.input_size()]);
        for sorts in [Sorts::Comparators, Sorts::Groups] {
            let chosen: Vec<&Inequality> = self.inequalities.iter().filter(|inequality| inequality.sorts == sorts).collect();
            if chosen.is_empty() {
                continue;
            }
            let mut form = form(network, Segment::whole(network), sorts.into(), bounds)?;
            if let Some(functional) = self.functional {
                let differences = form.with_differences(&[functional.positions()]);
                form = differences.ok_or(Content::Shape { what: "a functional of outputs that do not exist" })?;
            }
            let mut rows = None;
            for inequality in chosen {
                let about = || match &self.functional {
                    Some(functional) => format!("an inequality of the columns of {functional}"),
                    None => "an inequality of the columns".to_owned(),
                };
                let multipliers = Multipliers::resolve(inequality, bundle)?;
                multipliers.admit(&form, &about)?;
                let rows = match &mut rows {
                    Some(rows) => rows,
                    none => none.insert(Rows::new(&form)?),
                };
                let weights = match &inequality.output_weights {
                    Some(vector) => bundle.resolve(vector).ok_or(Content::MissingVector)?,
                    None if form.outputs.len() == 1 => vec![1.0],
                    None => return Err(MatrixRefusal::NoMatrix(MatrixError::OutputWeights).about(about())),
                };
                let columns = prove_columns(rows, &multipliers.inputs, &weights, &multipliers.groups)
                    .map_err(|refusal| refusal.about(about()))?;
                least.iter_mut().zip(columns).for_each(|(least, column)| *least = smaller(*least, column));
            }
        }
        let largest = least.into_iter().fold(0.0, max_or_nan);
        match growth {
            // Without inputs nothing is infinite; an implicit equation is not well posed for that.
            Err(refusal) if largest == f64::INFINITY || self.inequalities.is_empty() => Err(refusal),
            _ => Ok(largest),
        }
    }
}

/// NaN bounds nothing.
fn smaller(a: f64, b: f64) -> f64 {
    if a.is_nan() || b < a { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lipschitz::form::{Form, SortForm};
    use crate::model::ir::{Function, NetworkBuilder, Op, Tensor};

    /// `x ↦ W₂·relu(W₁·x)`, weights `[inputs, outputs]`.
    fn network(layers: [(usize, usize, &[f64]); 2]) -> Network {
        let mut builder = NetworkBuilder::new();
        let mut signal = builder.push("x", "", Op::Input, &[], vec![1, 1, layers[0].0]).unwrap();
        for (layer, (rows, columns, data)) in layers.into_iter().enumerate() {
            let shape = vec![1, rows, columns];
            let tensor = Op::Constant(Tensor::new(shape.clone(), data.to_vec()).unwrap());
            let weights = builder.push("w", "", tensor, &[], shape).unwrap();
            signal = builder.push("linear", "MatMul", Op::MatMul, &[signal, weights], vec![1, 1, columns]).unwrap();
            if layer == 0 {
                signal = builder.push("relu", "Relu", Op::Function(Function::Relu), &[signal], vec![1, 1, columns]).unwrap();
            }
        }
        builder.finish(signal).unwrap()
    }

    #[test]
    fn each_column_is_proved_just_above_its_optimum_and_never_below() {
        // x ↦ (2·relu(3x₁ + x₂), −relu(3x₁ + x₂)): columns 9 and 3. Written as |·|, with ω = (1/2, 1) and Σ 1/ω = 3: the
        // optimum has τ = (27, 3).
        let network = network([(2, 1, &[3.0, 1.0]), (1, 2, &[2.0, -1.0])]);
        let form = Form::new(&network, Segment::whole(&network), SortForm::Comparators).unwrap();
        let rows = Rows::new(&form).unwrap();
        let best = |relax: f64| {
            // Any λ that the matrix allows: searched on a grid.
            (1..4000)
                .map(|i| f64::from(i) * 0.01)
                .find_map(|lambda| prove_columns(&rows, &[27.0 * relax, 3.0 * relax], &[0.5, 1.0], &[lambda]).ok())
        };
        let proved = best(1.0 + 1e-3).expect("the optimum is 9 and 3");
        assert!((proved[0] - 9.0).abs() < 9e-3 && (proved[1] - 3.0).abs() < 3e-3, "{proved:?}");
        assert!(best(1.0 - 1e-6).is_none());
    }

    #[test]
    fn absolute_values_of_columns() {
        let network = network([(2, 2, &[1.0, -2.0, 0.5, 0.0]), (2, 2, &[3.0, -1.0, 0.25, 4.0])]);
        // |W₁|·|W₂| summed over the outputs: (1·4 + 2·4.25, 0.5·4).
        assert_eq!(column_growth(&network, &[1.0, 1.0]), Ok(vec![12.5, 2.0]));
        assert_eq!(column_growth(&network, &[0.0, 1.0]), Ok(vec![9.0, 0.5]));
        assert!(column_growth(&network, &[1.0]).is_err());
    }
}
