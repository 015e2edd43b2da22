//! Claims of kind `lipschitz` and their witnesses.

use serde::{Deserialize, Serialize};

use super::{Norm, Pair, Vector};
use crate::proof::number::{Bits, Number};

/// `‖f(x) − f(y)‖ ≤ bound·‖x − y‖` for all `x`, `y` of the domain, and pairs that come close to it; for ℓ∞ the bound is the
/// largest of those of the outputs, for ℓ1 of those of the inputs (columns). For an implicit network also that `f` is a function: see `well_posed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LipschitzClaim {
    pub norm: Norm,
    pub bound: Number,
    /// The network has implicit equations, and each has exactly one solution for every input; the inequalities of the bound
    /// prove that too. Stated exactly where there are such equations.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub well_posed: bool,
    /// A quotient `‖f(x) − f(y)‖/‖x − y‖` that is attained.
    pub lower_bound: Option<Number>,
    /// The product of constants of the network's parts: of norms, or of segments with inequalities of their own; for ℓ∞ the
    /// largest product of absolute values of an output, for ℓ1 of an input.
    pub norm_product: Option<Number>,
    /// Bounds of single outputs and of differences of two.
    pub functionals: Vec<FunctionalBound>,
    pub witness: LipschitzWitness,
}

/// `|g(x) − g(y)| ≤ bound·‖x − y‖` for `g = f_plus − f_minus`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FunctionalBound {
    pub functional: Functional,
    pub bound: Number,
    /// Proves `bound`; without it the bound is that of the whole network (ℓ2, times √2 for a difference), or follows from
    /// absolute values (ℓ∞).
    pub inequality: Option<Inequality>,
    /// Prove `bound` for ℓ1, as those of the whole network do; it is at most that of the whole network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<Inequality>,
}

/// An output, or the difference of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Functional {
    pub plus: u32,
    pub minus: Option<u32>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LipschitzWitness {
    /// Proves `bound` for ℓ2; without it `bound` is the norm product.
    pub inequality: Option<Inequality>,
    /// Prove `bound` for ℓ1: each bounds the column of every input, and an input's bound is the smallest of them and of the
    /// product of absolute values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<Inequality>,
    /// Proves `norm_product` for ℓ2: the parts in order from the input.
    pub parts: Vec<Part>,
    /// Proves `lower_bound`.
    pub pair: Option<Pair>,
}

/// Multipliers with which the matrix `F(τ, λ)` of a network or a part is positive definite; for ℓ1 `F(τ, ω, λ)` wherever at
/// most one input is not zero.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Inequality {
    pub sorts: Sorts,
    /// `τ`: for ℓ2 one number, the squared bound; for ℓ∞ one per input, whose sum is the squared bound; for ℓ1 one per input,
    /// whose column has the bound `√(τ·Σ 1/ω)`.
    pub input_multipliers: Vector,
    /// `ω`, for ℓ1 and several outputs alone: the weights of their squares, one per output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_weights: Option<Vector>,
    /// `λ`, one per group of the form, in its order.
    pub multipliers: Vector,
}

/// How sorts are written in the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Sorts {
    Comparators,
    Groups,
}

/// One part of the network, from the end of the part before it to `to`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Index of the part's last node in the lowered network.
    pub to: u32,
    pub proof: PartProof,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum PartProof {
    /// The part's own matrix inequality.
    Inequality(Inequality),
    /// Node by node: norms of sums, of elementwise functions, of rearrangements, of linear layers.
    Rules {
        /// For every matrix product and convolution of the part, in order, an upper bound of its squared spectral norm;
        /// without one a bound from absolute sums of its rows and columns is taken.
        squared_norms: Vec<Option<Bits>>,
        /// Positions, in the same order, of convolutions for which the absolute sums of the kernel are taken, not those of the
        /// matrix nor the symbols, which take time.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        sums: Vec<u32>,
    },
}

impl Inequality {
    fn vectors_mut(&mut self) -> impl Iterator<Item = &mut Vector> {
        [&mut self.input_multipliers, &mut self.multipliers].into_iter().chain(self.output_weights.as_mut())
    }
}

impl LipschitzClaim {
    pub(super) fn vectors_mut(&mut self) -> Vec<&mut Vector> {
        let witness = &mut self.witness;
        let of_parts = witness.parts.iter_mut().filter_map(|part| match &mut part.proof {
            PartProof::Inequality(inequality) => Some(inequality),
            PartProof::Rules { .. } => None,
        });
        let of_functionals =
            self.functionals.iter_mut().flat_map(|functional| functional.inequality.iter_mut().chain(&mut functional.columns));
        let inequalities = witness.inequality.iter_mut().chain(&mut witness.columns).chain(of_parts).chain(of_functionals);
        let points = witness.pair.iter_mut().flat_map(|pair| [&mut pair.first, &mut pair.second]);
        inequalities.flat_map(Inequality::vectors_mut).chain(points).collect()
    }
}

impl std::fmt::Display for Functional {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.minus {
            Some(minus) => write!(f, "y[{}] − y[{minus}]", self.plus),
            None => write!(f, "y[{}]", self.plus),
        }
    }
}
