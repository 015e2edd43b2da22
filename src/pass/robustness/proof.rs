//! Proof trees while they grow, and as the checker reads them.

use crate::checker::{ALTERNATIVES, LEAF, MULTIPLIERS, PHASE};
use crate::ir::NodeId;

/// What became of a part of a case.
pub enum Tree {
    /// Bounds close it, with multipliers of the phases that are fixed.
    Leaf(Vec<f64>),
    Input {
        input: usize,
        cut: f64,
        halves: Box<(Tree, Tree)>,
    },
    Phase {
        relu: NodeId,
        element: usize,
        /// Inactive, active.
        halves: Box<(Tree, Tree)>,
    },
    Alternatives {
        clause: usize,
        parts: Vec<Tree>,
    },
    /// Out of time, or found unsafe.
    Open,
}

/// A tree in pre-order, as [`crate::checker::Refuter::refute`] reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct Proof {
    pub codes: Vec<f64>,
    pub leaves: usize,
}

/// How a run ended.
pub enum Branched<T> {
    Refuted(Proof),
    Unsafe(T),
    Open,
}

impl Proof {
    /// Bounds close the whole case.
    #[must_use]
    pub fn leaf() -> Self {
        Self { codes: vec![LEAF], leaves: 1 }
    }
}

impl Tree {
    /// Whether nothing of it is open; only the top is looked at, for a tree with an open part is replaced by it.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        !matches!(self, Self::Open)
    }

    /// `None` where something is open.
    #[must_use]
    pub fn proof(&self) -> Option<Proof> {
        let mut proof = Proof { codes: Vec::new(), leaves: 0 };
        self.encode(&mut proof).then_some(proof)
    }

    fn encode(&self, proof: &mut Proof) -> bool {
        let halves = match self {
            Self::Open => return false,
            Self::Leaf(multipliers) => {
                if multipliers.iter().all(|&multiplier| multiplier == 0.0) {
                    proof.codes.push(LEAF);
                } else {
                    proof.codes.extend([MULTIPLIERS, multipliers.len() as f64]);
                    proof.codes.extend(multipliers);
                }
                proof.leaves += 1;
                return true;
            }
            Self::Alternatives { clause, parts } => {
                proof.codes.extend([ALTERNATIVES, *clause as f64]);
                return parts.iter().all(|part| part.encode(proof));
            }
            Self::Input { input, cut, halves } => {
                proof.codes.extend([*input as f64, *cut]);
                halves
            }
            Self::Phase { relu, element, halves } => {
                proof.codes.extend([PHASE, relu.index() as f64, *element as f64]);
                halves
            }
        };
        halves.0.encode(proof) && halves.1.encode(proof)
    }
}
