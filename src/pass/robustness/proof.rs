//! Proof trees while they grow, and as the checker reads them.

use crate::bounds::{Analysis, Hints};
use crate::checker::{ALTERNATIVES, COMBINED, LEAF, MULTIPLIERS, PHASE, SLOPES};
use crate::ir::NodeId;

/// What became of a part of a case.
pub enum Tree {
    /// Bounds close it.
    Leaf(Leaf),
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

/// What bounds need to close a part.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Leaf {
    /// Of the rows whose atoms are added; `None`: every row for itself.
    pub weights: Option<Vec<f64>>,
    /// Of the phases that are fixed, row by row.
    pub multipliers: Vec<f64>,
    /// One position for each flexible element; `None`: those of the whole case.
    pub positions: Option<Vec<f64>>,
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

impl Leaf {
    #[must_use]
    pub const fn with_multipliers(multipliers: Vec<f64>) -> Self {
        Self { weights: None, multipliers, positions: None }
    }

    /// With the multipliers and the slopes of hints for one row, or for one sum of them.
    #[must_use]
    pub fn of(analysis: &Analysis, hints: &Hints) -> Self {
        let position =
            |(node, element)| hints.rows.get(node).and_then(|positions| positions.get(element)).copied().unwrap_or(0.0);
        let positions = Some(analysis.flexible().map(position).collect());
        Self { weights: None, multipliers: hints.multipliers.clone(), positions }
    }

    fn encode(&self, codes: &mut Vec<f64>) {
        let put = |codes: &mut Vec<f64>, numbers: &[f64]| {
            codes.push(numbers.len() as f64);
            codes.extend(numbers);
        };
        match &self.positions {
            Some(positions) => {
                match &self.weights {
                    Some(weights) => {
                        codes.push(COMBINED);
                        put(codes, weights);
                    }
                    None => codes.push(SLOPES),
                }
                put(codes, &self.multipliers);
                put(codes, positions);
            }
            None if self.multipliers.iter().all(|&multiplier| multiplier == 0.0) => codes.push(LEAF),
            None => {
                codes.push(MULTIPLIERS);
                put(codes, &self.multipliers);
            }
        }
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
            Self::Leaf(leaf) => {
                leaf.encode(&mut proof.codes);
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
