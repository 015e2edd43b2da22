//! Why there are no bounds. Every reason names the place.

use crate::model::ir::Node;

/// Why a set of inputs is not a region.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RegionError {
    #[error("a box has {lower} lower and {upper} upper bounds")]
    Lengths { lower: usize, upper: usize },
    #[error("input {index} has the bounds [{lower}, {upper}]; both must be finite, in order")]
    Bounds { index: usize, lower: f64, upper: f64 },
    #[error("the radius is {0}; it must be finite and not negative")]
    Radius(f64),
}

/// Why a network has no bounds on a region.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BoundsError {
    #[error("the region has {given} coordinates where the network has {expected} inputs")]
    InputSize { given: usize, expected: usize },
    #[error(
        "float32 arithmetic is asked about, and {obstacle}: the deployed network rounds otherwise; ask with `--semantics real`"
    )]
    Float32 { obstacle: String },
    #[error("node `{node}` ({operator}): {reason}")]
    Node { node: String, operator: String, reason: Reason },
}

/// What is wrong with a node's bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error("it is not defined or not bounded on all of the region")]
    Undefined,
    #[error("no input of the region satisfies the fixed phases")]
    Empty,
    #[error("its values may overflow")]
    Overflow,
    #[error("it is an implicit equation, which only Lipschitz constants everywhere are certified for")]
    Implicit,
    #[error("it adds too many terms for a bound of the rounding errors")]
    TooManyTerms,
    #[error("the time was over before it was bounded")]
    Interrupted,
}

impl BoundsError {
    /// Whether no input in the region satisfies the fixed phases.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Node { reason: Reason::Empty, .. })
    }

    pub(super) fn at(node: &Node, reason: Reason) -> Self {
        Self::Node { node: node.name.clone(), operator: node.operator.clone(), reason }
    }
}
