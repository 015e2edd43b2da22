//! Claims about VNN-LIB specifications.

use serde::{Deserialize, Serialize};

use super::{FileIdentity, Second, Vector};

/// No input of the network is unsafe, or one is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SpecificationClaim {
    /// The VNN-LIB file.
    pub file: FileIdentity,
    pub verdict: Verdict,
    /// Where it is about two networks: the first that it declares; the certificate's is the second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Second>,
    /// How many of the property's disjuncts no input satisfies. Where it is all of them, the claim is vacuous.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub empty_cases: u32,
    pub witness: SpecificationWitness,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as `serde` calls it
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The unsafe region is empty (`unsat`).
    Holds,
    /// It is not (`sat`).
    Violated,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SpecificationWitness {
    /// How cases have to be split before bounds refute them; all other cases are refuted whole.
    pub splits: Vec<Splits>,
    /// Cases whose bounds need other slopes than the usual ones. Any slopes are sound.
    pub slopes: Vec<CaseSlopes>,
    pub counterexample: Option<UnsafePoint>,
}

/// A tree in pre-order. An input and a cut: the halves of its range; −2, a node and an element: a ReLU, inactive and active;
/// −4 and a clause: one subtree for each of its alternatives. −1: a leaf; −3, a number and as many multipliers of the fixed
/// phases, row by row: a leaf whose bounds use them; −5, such multipliers, and in the same way one position of a slope for each
/// unstable ReLU: a leaf whose bounds use both; −6, in the same way one weight for each row, then such multipliers and slopes: a
/// leaf that the sum of the rows refutes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Splits {
    /// Position among the cases of the specification, or the samples.
    pub case: u32,
    pub tree: Vector,
}

/// Slopes for the bounds of one case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CaseSlopes {
    pub case: u32,
    pub slopes: Vec<NodeSlopes>,
}

/// Where the lower lines of one node's elements lie, from 0 (the least slope) to 1, in the bounds of one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NodeSlopes {
    pub target: SlopesTarget,
    /// Position in the lowered network.
    pub node: u32,
    pub positions: Vector,
}

/// What is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum SlopesTarget {
    /// The rows of the case.
    Rows,
    /// The elements of a node, from above.
    Upper(u32),
    /// From below.
    Lower(u32),
}

/// An input that satisfies a case, row-major.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct UnsafePoint {
    pub case: u32,
    pub input: Vector,
}

impl SpecificationClaim {
    pub(super) fn vectors_mut(&mut self) -> Vec<&mut Vector> {
        let point = self.witness.counterexample.iter_mut().map(|point| &mut point.input);
        let slopes = self.witness.slopes.iter_mut().flat_map(|case| &mut case.slopes).map(|slopes| &mut slopes.positions);
        self.witness.splits.iter_mut().map(|splits| &mut splits.tree).chain(slopes).chain(point).collect()
    }
}
