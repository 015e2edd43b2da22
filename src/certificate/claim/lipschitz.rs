//! Claims of kind `lipschitz` and their witnesses.

use serde::{Deserialize, Serialize};

use super::{Norm, Pair, Vector};
use crate::certificate::number::{Bits, Number};

/// `‖f(x) − f(y)‖ ≤ bound·‖x − y‖` for all `x`, `y` of the domain, and pairs that come close to it; for ℓ∞ the bound is the
/// largest of those of the outputs. For an implicit network also that `f` is a function: see `well_posed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "passes", derive(schemars::JsonSchema))]
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
    /// largest product of absolute values.
    pub norm_product: Option<Number>,
    /// Bounds of single outputs and of differences of two.
    pub functionals: Vec<FunctionalBound>,
    pub witness: LipschitzWitness,
}

/// `|g(x) − g(y)| ≤ bound·‖x − y‖` for `g = f_plus − f_minus`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "passes", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FunctionalBound {
    pub functional: Functional,
    pub bound: Number,
    /// Proves `bound`; without it the bound is that of the whole network (ℓ2, times √2 for a difference), or follows from
    /// absolute values (ℓ∞).
    pub inequality: Option<Inequality>,
}

/// An output, or the difference of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "passes", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Functional {
    pub plus: u32,
    pub minus: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "passes", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LipschitzWitness {
    /// Proves `bound` for ℓ2; without it `bound` is the norm product.
    pub inequality: Option<Inequality>,
    /// Proves `norm_product` for ℓ2: the parts in order from the input.
    pub parts: Vec<Part>,
    /// Proves `lower_bound`.
    pub pair: Option<Pair>,
}

/// Multipliers with which the matrix `F(τ, λ)` of a network or a part is positive definite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "passes", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Inequality {
    pub sorts: Sorts,
    /// `τ`: for ℓ2 one number, the squared bound; for ℓ∞ one per input, whose sum is the squared bound.
    pub input_multipliers: Vector,
    /// `λ`, one per group of the form, in its order.
    pub multipliers: Vector,
}

/// How sorts are written in the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "passes", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Sorts {
    Comparators,
    Groups,
}

/// One part of the network, from the end of the part before it to `to`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "passes", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Index of the part's last node in the lowered network.
    pub to: u32,
    pub proof: PartProof,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "passes", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum PartProof {
    /// The part's own matrix inequality.
    Inequality(Inequality),
    /// Node by node: norms of sums, of elementwise functions, of rearrangements, of linear layers.
    Rules {
        /// For every matrix product and convolution of the part, in order, an upper bound of its squared spectral norm;
        /// without one a bound from absolute sums of its rows and columns is taken.
        squared_norms: Vec<Option<Bits>>,
    },
}

impl Inequality {
    fn vectors_mut(&mut self) -> [&mut Vector; 2] {
        [&mut self.input_multipliers, &mut self.multipliers]
    }
}

impl LipschitzClaim {
    pub(super) fn vectors_mut(&mut self) -> Vec<&mut Vector> {
        let witness = &mut self.witness;
        let of_parts = witness.parts.iter_mut().filter_map(|part| match &mut part.proof {
            PartProof::Inequality(inequality) => Some(inequality),
            PartProof::Rules { .. } => None,
        });
        let of_functionals = self.functionals.iter_mut().filter_map(|functional| functional.inequality.as_mut());
        let inequalities = witness.inequality.iter_mut().chain(of_parts).chain(of_functionals);
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
