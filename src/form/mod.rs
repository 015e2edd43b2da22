//! TRUSTED. The one exact form behind every Lipschitz bound: a network as rows over (input, bounded parts).
//!
//! Every activation is an exact linear part and a part bounded by a quadratic constraint; every signal is a linear
//! combination of coordinates: the inputs and the results of bounded parts. One matrix,
//!
//! ```text
//! F(τ, λ) = diag(τ)_x − CᵀC − Σ_g λ_g·Q_g,     Q_g = −αβ·VᵀV + (α+β)/2·(VᵀY + YᵀV) − YᵀY,
//! ```
//!
//! covers ReLU, tanh, GELU, MaxMin, GroupSort, Householder, softmax and residual graphs: `F ⪰ 0` with `λ ≥ 0` proves
//! `‖C(x − x′)‖² ≤ Σ τ_i (x_i − x′_i)²`, hence a Lipschitz constant into ℓ2 of `√ρ` from ℓ2 where all `τ_i = ρ`, and of
//! `√Σ τ_i` from ℓ∞. The checker builds the matrix here from the model alone;
//! engines take their data here too, so both mean the same program. This room must not know any solver.
//!
//! [`Form::new`] keeps signals symbolic and exact (`combination`, `group`, `build`); [`Rows`] evaluates
//! them in double-double arithmetic with a rigorous radius (`rows`); [`QuadraticForm`] is the matrix (`matrix`).

mod build;
mod combination;
mod enclosed;
mod group;
mod layer;
mod matrix;
mod rows;
mod slopes;

pub use build::Segment;
pub use combination::{Atom, Combination};
pub use group::Group;
pub use layer::{LinearLayer, LinearMap, Weights};
pub use matrix::{MatrixError, QuadraticForm, admit};
pub use rows::{GroupRows, Rows, operator_norm};

use crate::bounds::Intervals;
use crate::ir::{EvaluationError, Network};

/// How a sort is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortForm {
    /// As a sorting network with one multiplier per comparator where the group is small: the tighter form.
    #[default]
    Comparators,
    /// One multiplier per group: the smaller matrix.
    Groups,
}

/// A network, or a segment of one, as linear layers and groups over coordinates.
#[derive(Clone, Debug, PartialEq)]
pub struct Form {
    /// The first so many coordinates are the inputs.
    pub inputs: usize,
    /// All coordinates: the order of the matrix.
    pub dimension: usize,
    /// In order of computation: a layer's inputs use earlier layers only.
    pub layers: Vec<LinearLayer>,
    pub groups: Vec<Group>,
    pub outputs: Vec<Combination>,
}

/// Why a network has no form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    #[error("node `{node}` ({operator}) has no Lipschitz rule: {reason}")]
    Unsupported { node: String, operator: String, reason: &'static str },
    #[error("constants cannot be enclosed: {0}")]
    Constant(EvaluationError),
    #[error("the output does not depend on the input through `{node}` alone")]
    NotACut { node: String },
    #[error("the symbolic form of the network is larger than the limit")]
    TooLarge,
}

impl Form {
    /// The form of a segment of a network.
    ///
    /// # Errors
    /// [`FormError`], naming the node that has no rule.
    pub fn new(network: &Network, segment: Segment, sorts: SortForm) -> Result<Self, FormError> {
        build::build(network, segment, sorts, None)
    }

    /// The form where every signal keeps within its bounds: stable neurons are linear, slopes are those between the bounds.
    /// It holds for pairs of inputs of the region that the bounds belong to.
    ///
    /// # Errors
    /// [`FormError`], naming the node that has no rule.
    pub fn within(network: &Network, segment: Segment, sorts: SortForm, bounds: &Intervals) -> Result<Self, FormError> {
        build::build(network, segment, sorts, Some(bounds))
    }

    /// The form whose outputs are the given differences `output[plus] − output[minus]` of this form's outputs, or `None`
    /// where an output does not exist or a difference is not exact.
    #[must_use]
    pub fn with_differences(&self, differences: &[(usize, Option<usize>)]) -> Option<Self> {
        let outputs = differences.iter().map(|&(plus, minus)| {
            let plus = self.outputs.get(plus)?;
            minus.map_or_else(|| Some(plus.clone()), |minus| plus.plus_scaled(-1.0, self.outputs.get(minus)?))
        });
        let outputs = outputs.collect::<Option<_>>()?;
        Some(Self { outputs, ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{NetworkBuilder, Op, Reduction, Source};

    #[test]
    fn a_sum_that_is_copied_a_million_times_is_refused_before_it_is_copied() {
        let mut builder = NetworkBuilder::new();
        let x = builder.push("x", "", Op::Input, &[], vec![1, 4096]).unwrap();
        let sum = builder.push("sum", "ReduceSum", Op::Reduce(Reduction::Sum), &[x], vec![1]).unwrap();
        let copies = vec![Source { operand: 0, element: 0 }; 1 << 20];
        let y = builder.push("expand", "Expand", Op::Rearrange(copies), &[sum], vec![1 << 20]).unwrap();
        let network = builder.finish(y).unwrap();
        assert_eq!(Form::new(&network, Segment::whole(&network), SortForm::Comparators), Err(FormError::TooLarge));
    }
}
