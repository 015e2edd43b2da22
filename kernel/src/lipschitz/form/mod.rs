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
//! # Implicit equations
//!
//! An equation `z = φ(Wz + u)`, `u` what comes before it, has one group per unknown, whose argument row `(W | u)` reaches the
//! unknowns themselves and whose result is the unknown: the same matrix. Its increments satisfy `Q_g ≥ 0` for any pair of
//! solutions, and `F ≻ 0` proves that there is exactly one for every `u`:
//!
//! Let `E` be the last equation. Set all increments before it to zero, its unknowns to any `Δz ≠ 0`, and let every group
//! after it answer linearly with its lower slope `α` (a sorted group with its own arguments), which makes its `Q_g`
//! vanish. Then `F ≻ 0` leaves `Σ_{g∈E} λ_g Q_g(WΔz, Δz) ≤ −ε‖Δz‖²` with `ε > 0`. For fixed `u` let
//! `G(z) = z − φ(Wz + u)` and `e = G(z) − G(z′)`, so that `φ` takes the increment `WΔz` to `Δz − e`:
//!
//! ```text
//! 0 ≤ Σ λ_g Q_g(WΔz, Δz − e) ≤ −ε‖Δz‖² + K‖Δz‖‖e‖,     hence ‖Δz‖ ≤ (K/ε)‖G(z) − G(z′)‖
//! ```
//!
//! with a constant `K` of `λ`, the slopes and `‖W‖`. `G` is continuous, injective, and unbounded where `z` is: its image is
//! open (invariance of domain) and closed, so `G` is a homeomorphism of the space, and the solution exists, is unique, and
//! depends on `u` Lipschitz continuously. In particular `I − αW` is regular, so `E` too can answer linearly with `α`, and
//! the equation before it is last in the same sense: by induction all are well posed (the idea of Winston, Kolter, NeurIPS
//! 2020, and of Revay, Wang, Manchester 2020, who parametrise networks by it). So an inequality that is proved claims both.
//!
//! # Files
//!
//! [`Form::new`] keeps signals symbolic and exact (`combination`, `group`, `build`); [`Rows`] evaluates
//! them in double-double arithmetic with a rigorous radius (`rows`); [`QuadraticForm`] is the matrix (`matrix`).

mod build;
mod combination;
mod enclosed;
mod equilibrium;
mod group;
mod layer;
mod matrix;
mod rows;

pub use build::Segment;
pub use combination::{Atom, Combination};
pub use group::Group;
pub use layer::{LinearLayer, LinearMap, Weights};
pub use matrix::{MatrixError, QuadraticForm, admit};
pub use rows::{GroupRows, Rows, operator_norm};

use crate::model::ir::{EvaluationError, Intervals, Network};

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
    use crate::model::ir::{NetworkBuilder, Op, Reduction, Source};

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
