//! Claims about how far the outputs of two networks are apart.

use serde::{Deserialize, Serialize};

use super::super::ModelIdentity;
use super::super::number::Number;
use super::{CaseSlopes, FileIdentity, Perturbation, Splits, Vector};

/// How far the outputs of the certificate's model are from those of another, its baseline, for every input of a box or around samples, and
/// where both prefer the same class.
///
/// A *case* is a sample, by its number, or the one box of the claim's domain, 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DeviationClaim {
    pub baseline: Second,
    /// Around which samples; none where the domain is a box.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub around: Option<Around>,
    /// Proved: no output differs by more, one number for each.
    pub bounds: Vec<Number>,
    /// The same case by case, `[cases, outputs]`.
    pub cases: Vector,
    /// What outputs differ by at some inputs, each output at most once for each case.
    pub attained: Vec<Attained>,
    /// How a case is split before bounds prove how far the outputs are apart there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub splits: Vec<Splits>,
    /// Where both networks prefer one class, the same for every input.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agreeing: Vec<Agreement>,
    /// Where they prefer different ones for some input.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disagreeing: Vec<Disagreement>,
    /// How a case is split before bounds prove that both prefer its class.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agreement_splits: Vec<Splits>,
    /// The slopes that these bounds need.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agreement_slopes: Vec<CaseSlopes>,
}

/// A model beside the certificate's own, and how the two become one network: nodes of the certificate's model are computed by their
/// differences from nodes of this one. Any pairing is sound; a better one makes bounds tighter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Second {
    pub model: ModelIdentity,
    pub pairing: Vec<NodePair>,
}

/// Two nodes, by their positions in the lowered networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NodePair {
    /// Of the other model.
    pub first: u32,
    /// Of the certificate's.
    pub second: u32,
}

/// Samples and how far around them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Around {
    /// The file with the inputs, then the one with the labels where it is another.
    pub data: Vec<FileIdentity>,
    /// In ℓ∞.
    pub perturbation: Perturbation,
    /// How many samples were asked about, from the first.
    pub samples: u32,
    /// How many samples the data have.
    pub available: u32,
}

/// An input where an output of one network is at least so far from that of the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Attained {
    pub case: u32,
    pub output: u32,
    pub deviation: Number,
    /// Row-major.
    pub input: Vector,
}

/// A case whose inputs are all of one class, by both networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    pub case: u32,
    pub class: u32,
}

/// An input of a case whose largest outputs are others, each alone the largest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Disagreement {
    pub case: u32,
    /// Row-major.
    pub input: Vector,
}

impl Second {
    /// Returns the pairs as positions.
    #[must_use]
    pub fn pairs(&self) -> Vec<(usize, usize)> {
        self.pairing.iter().map(|pair| (pair.first as usize, pair.second as usize)).collect()
    }
}

impl DeviationClaim {
    pub(super) fn vectors_mut(&mut self) -> Vec<&mut Vector> {
        let inputs = self.attained.iter_mut().map(|attained| &mut attained.input);
        let others = self.disagreeing.iter_mut().map(|disagreeing| &mut disagreeing.input);
        let trees = self.splits.iter_mut().chain(&mut self.agreement_splits).map(|splits| &mut splits.tree);
        let slopes = self.agreement_slopes.iter_mut().flat_map(|case| &mut case.slopes).map(|slopes| &mut slopes.positions);
        std::iter::once(&mut self.cases).chain(inputs).chain(others).chain(trees).chain(slopes).collect()
    }
}
