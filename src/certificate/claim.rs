//! Claims and their witnesses: what is said about a network, and what lets a checker prove it again.

use serde::{Deserialize, Serialize};

use super::number::{Bits, Number};

/// How much stands behind a claim. Ordered: a later one is stronger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "passes", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Assurance {
    /// A statistic with an interval, a confidence and a seed.
    Estimated,
    /// A residual, recomputed by the checker, lies within a stated bound.
    Checked,
    /// The checker proved it in sound arithmetic.
    Proved,
}

/// What the network is taken to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "passes", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Semantics {
    /// Exact real arithmetic on the weights of the file.
    Real,
    /// The deployed network: every operator rounds to float32, sums in any order.
    Float32,
}

/// Where a claim holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "passes", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Domain {
    /// Everywhere.
    Global,
}

/// The norm on inputs and outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "passes", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Norm {
    L2,
}

/// One claim. `assurance` is what the checker found when the certificate was written; checking finds it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "passes", derive(schemars::JsonSchema))]
pub struct Claim {
    pub id: String,
    pub assurance: Assurance,
    pub semantics: Semantics,
    pub domain: Domain,
    #[serde(flatten)]
    pub kind: ClaimKind,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "passes", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ClaimKind {
    Lipschitz(LipschitzClaim),
}

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

/// Two inputs, row-major.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "passes", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Pair {
    pub first: Vector,
    pub second: Vector,
}

/// A list of numbers, here or in the bundle beside the certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "passes", derive(schemars::JsonSchema))]
#[serde(untagged, deny_unknown_fields)]
pub enum Vector {
    Inline(Vec<Bits>),
    Bundled {
        /// Position in the bundle.
        vector: u32,
    },
}

impl Vector {
    #[must_use]
    pub fn inline(values: &[f64]) -> Self {
        Self::Inline(values.iter().map(|&value| Bits::of(value)).collect())
    }
}
