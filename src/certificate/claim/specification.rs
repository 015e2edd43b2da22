//! Claims about VNN-LIB specifications.

use serde::{Deserialize, Serialize};

use super::{FileIdentity, Vector};

/// No input of the network is unsafe, or one is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "passes", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SpecificationClaim {
    /// The VNN-LIB file.
    pub file: FileIdentity,
    pub verdict: Verdict,
    pub witness: SpecificationWitness,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "passes", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The unsafe region is empty (`unsat`).
    Holds,
    /// It is not (`sat`).
    Violated,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "passes", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SpecificationWitness {
    /// Where the boxes of cases have to be split before bounds refute them; all other cases are refuted whole.
    pub splits: Vec<Splits>,
    pub counterexample: Option<UnsafePoint>,
}

/// A tree of boxes in pre-order: an inner node is an input and where its range is cut, a leaf is −1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "passes", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Splits {
    /// Position among the cases of the specification.
    pub case: u32,
    pub tree: Vector,
}

/// An input that satisfies a case, row-major.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "passes", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct UnsafePoint {
    pub case: u32,
    pub input: Vector,
}

impl SpecificationClaim {
    pub(super) fn vectors_mut(&mut self) -> Vec<&mut Vector> {
        let point = self.witness.counterexample.iter_mut().map(|point| &mut point.input);
        self.witness.splits.iter_mut().map(|splits| &mut splits.tree).chain(point).collect()
    }
}
