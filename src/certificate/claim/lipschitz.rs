//! Claims of kind `lipschitz` and their witnesses.

use serde::{Deserialize, Serialize};

use super::{Norm, Pair, Vector};
use crate::certificate::number::{Bits, Number};

/// `‖f(x) − f(y)‖ ≤ bound·‖x − y‖` for all `x`, `y` of the domain, and pairs that come close to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "passes", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LipschitzClaim {
    pub norm: Norm,
    pub bound: Number,
    /// A quotient `‖f(x) − f(y)‖/‖x − y‖` that is attained.
    pub lower_bound: Option<Number>,
    /// The product of norms of the network's parts.
    pub norm_product: Option<Number>,
    pub witness: LipschitzWitness,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "passes", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LipschitzWitness {
    /// Proves `bound`; without it `bound` is the norm product.
    pub inequality: Option<Inequality>,
    /// Proves `norm_product`: the parts in order from the input.
    pub parts: Vec<Part>,
    /// Proves `lower_bound`.
    pub pair: Option<Pair>,
}

/// Multipliers with which the matrix `F(ρ, λ)` of a network or a part is positive definite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "passes", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Inequality {
    pub sorts: Sorts,
    /// `ρ`, an upper bound of the squared constant.
    pub squared_bound: Bits,
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

impl LipschitzClaim {
    pub(super) fn vectors_mut(&mut self) -> Vec<&mut Vector> {
        let witness = &mut self.witness;
        let parts = witness.parts.iter_mut().filter_map(|part| match &mut part.proof {
            PartProof::Inequality(inequality) => Some(inequality),
            PartProof::Rules { .. } => None,
        });
        let multipliers = witness.inequality.iter_mut().chain(parts).map(|Inequality { multipliers, .. }| multipliers);
        let points = witness.pair.iter_mut().flat_map(|pair| [&mut pair.first, &mut pair.second]);
        multipliers.chain(points).collect()
    }
}
