//! Claims and their witnesses: what is said about a network, and what lets a checker prove it again.

mod deviation;
mod hessian_trace;
mod inverse_hessian;
mod lipschitz;
mod objective;
mod robustness;
mod specification;
mod stability;
mod tightness;

pub use deviation::{Agreement, Around, Attained, DeviationClaim, Disagreement, NodePair, Second};
pub use hessian_trace::{HessianTraceClaim, Interval, ProbeEstimate};
pub use inverse_hessian::{InverseHessianClaim, InverseHessianWitness};
pub use lipschitz::{Functional, FunctionalBound, Inequality, LipschitzClaim, LipschitzWitness, Part, PartProof, Sorts};
pub use objective::{CurvatureMatrix, LossName, Objective, Scope};
pub use robustness::{Kept, Perturbation, RobustnessClaim, RobustnessWitness, Size};
pub use specification::{
    CaseSlopes, NodeSlopes, SlopesTarget, SpecificationClaim, SpecificationWitness, Splits, UnsafePoint, Verdict,
};
pub use stability::{StabilityClaim, StabilityVerdict, StabilityWitness};
pub use tightness::{End, Optimum, TightnessClaim, TightnessFigures, TightnessInterval};

use serde::{Deserialize, Serialize};

use super::number::Bits;

/// How much stands behind a claim. Ordered: a later one is stronger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Assurance {
    /// A statistic with an interval, a confidence and a seed. The checker does not repeat it: it establishes nothing.
    Estimated,
    /// A residual, recomputed by the checker, lies within a stated bound.
    Checked,
    /// The checker proved it in sound arithmetic.
    Proved,
}

/// What the network is taken to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Semantics {
    /// Exact real arithmetic on the weights of the file.
    Real,
    /// The deployed network: every operator rounds to float32, sums in any order.
    Float32,
}

/// Where a claim holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Domain {
    /// Everywhere.
    Global,
    /// For inputs between these bounds, row-major.
    Box { lower: Vector, upper: Vector },
    /// For the inputs that a specification names.
    Specification,
    /// Around the samples of a data set.
    Samples,
    /// At the samples of the data that the claim names.
    Data,
}

impl Domain {
    fn vectors_mut(&mut self) -> Vec<&mut Vector> {
        match self {
            Self::Global | Self::Specification | Self::Samples | Self::Data => Vec::new(),
            Self::Box { lower, upper } => vec![lower, upper],
        }
    }
}

/// The norm on inputs and on outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Norm {
    /// Sum of absolute values; of Lipschitz constants alone.
    L1,
    /// Euclidean.
    L2,
    /// Largest absolute value.
    Linf,
}

impl Norm {
    /// As in JSON and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::L1 => "l1",
            Self::L2 => "l2",
            Self::Linf => "linf",
        }
    }

    /// For people.
    #[must_use]
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::L1 => "ℓ1",
            Self::L2 => "ℓ2",
            Self::Linf => "ℓ∞",
        }
    }
}

/// One claim. `assurance` is what the checker found when the certificate was written; checking finds it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Claim {
    pub id: String,
    pub assurance: Assurance,
    pub semantics: Semantics,
    pub domain: Domain,
    /// Whether nothing lies in the domain, so that the claim holds of every network and says nothing about this one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub vacuous: bool,
    #[serde(flatten)]
    pub kind: ClaimKind,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ClaimKind {
    Lipschitz(LipschitzClaim),
    Robustness(RobustnessClaim),
    Specification(SpecificationClaim),
    HessianTrace(HessianTraceClaim),
    Stability(StabilityClaim),
    InverseHessian(InverseHessianClaim),
    Tightness(TightnessClaim),
    Deviation(DeviationClaim),
}

impl ClaimKind {
    /// As in JSON.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Lipschitz(_) => "lipschitz",
            Self::Robustness(_) => "robustness",
            Self::Specification(_) => "specification",
            Self::HessianTrace(_) => "hessian-trace",
            Self::Stability(_) => "stability",
            Self::InverseHessian(_) => "inverse-hessian",
            Self::Tightness(_) => "tightness",
            Self::Deviation(_) => "deviation",
        }
    }

    /// Returns the data and specification files that the claim is about.
    #[must_use]
    pub fn files(&self) -> &[FileIdentity] {
        match self {
            Self::Lipschitz(_) => &[],
            Self::Robustness(claim) => &claim.data,
            Self::Specification(claim) => std::slice::from_ref(&claim.file),
            Self::HessianTrace(claim) => &claim.objective.data,
            Self::Stability(claim) => &claim.objective.data,
            Self::InverseHessian(claim) => &claim.objective.data,
            Self::Tightness(claim) => &claim.data,
            Self::Deviation(claim) => claim.around.as_ref().map_or(&[], |around| &around.data),
        }
    }

    /// Returns the model that the claim is about beside the certificate's own.
    #[must_use]
    pub const fn second(&self) -> Option<&Second> {
        match self {
            Self::Deviation(claim) => Some(&claim.baseline),
            Self::Specification(claim) => claim.first.as_ref(),
            _ => None,
        }
    }
}

impl Claim {
    /// The claim's vectors, which may move to the bundle.
    pub(super) fn vectors_mut(&mut self) -> Vec<&mut Vector> {
        let mut vectors = self.domain.vectors_mut();
        vectors.extend(match &mut self.kind {
            ClaimKind::Lipschitz(claim) => claim.vectors_mut(),
            ClaimKind::Robustness(claim) => claim.vectors_mut(),
            ClaimKind::Specification(claim) => claim.vectors_mut(),
            ClaimKind::HessianTrace(_) => Vec::new(),
            ClaimKind::Stability(claim) => claim.vectors_mut(),
            ClaimKind::InverseHessian(claim) => claim.vectors_mut(),
            ClaimKind::Tightness(claim) => claim.vectors_mut(),
            ClaimKind::Deviation(claim) => claim.vectors_mut(),
        });
        vectors
    }
}

/// A data or specification file that a claim is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FileIdentity {
    /// Its name when the claim was made, for people.
    pub name: String,
    /// SHA-256 of its bytes as they lie on disk.
    pub digest: String,
}

/// Two inputs, row-major.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Pair {
    pub first: Vector,
    pub second: Vector,
}

/// A list of numbers, here or in the bundle beside the certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
