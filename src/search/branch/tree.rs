//! The tree of a search while it grows, and as the checker reads it.

use super::subproblem::Division;
use crate::kernel::region::bounds::{Analysis, Hints};
use crate::kernel::region::{ALTERNATIVES, COMBINED, LEAF, MULTIPLIERS, PHASE, SLOPES};

/// What bounds need to close a part.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Leaf {
    /// Of the rows whose atoms are added; `None`: every row for itself.
    pub weights: Option<Vec<f64>>,
    /// Of the phases that are fixed, row by row.
    pub multipliers: Vec<f64>,
    /// One position for each flexible element; `None`: those of the whole case.
    pub positions: Option<Vec<f64>>,
    /// A tree of its own that closes the part.
    pub below: Option<Box<Proof>>,
}

/// A tree in pre-order, as [`crate::kernel::region::Refuter::refute`] reads it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Proof {
    pub codes: Vec<f64>,
    pub leaves: usize,
}

/// A tree of divisions.
#[derive(Debug)]
pub struct Tree {
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    parent: usize,
    bound: f64,
    state: State,
    leaf: Leaf,
}

#[derive(Debug)]
enum State {
    /// Not bounded yet.
    Waiting,
    Leaf,
    /// The first of its parts; the others follow it.
    Divided(Division, usize),
}

impl Proof {
    /// Returns the tree of a case that bounds close as a whole.
    #[must_use]
    pub fn leaf() -> Self {
        Self { codes: vec![LEAF], leaves: 1 }
    }
}

impl Leaf {
    /// Returns a leaf with multipliers alone.
    #[must_use]
    pub fn with_multipliers(multipliers: Vec<f64>) -> Self {
        Self { multipliers, ..Self::default() }
    }

    /// Returns a leaf with the multipliers and the slopes of hints for one row, or for one sum of them.
    #[must_use]
    pub fn of(analysis: &Analysis, hints: &Hints) -> Self {
        let position =
            |(node, element)| hints.rows.get(node).and_then(|positions| positions.get(element)).copied().unwrap_or(0.0);
        let positions = Some(analysis.flexible().map(position).collect());
        Self { multipliers: hints.multipliers.clone(), positions, ..Self::default() }
    }

    /// Returns how many numbers the leaf takes, about.
    #[must_use]
    pub fn numbers(&self) -> usize {
        let weights = self.weights.as_ref().map_or(0, Vec::len);
        let positions = self.positions.as_ref().map_or(0, Vec::len);
        let below = self.below.as_ref().map_or(0, |below| below.codes.len());
        1 + weights + self.multipliers.len() + positions + below
    }

    fn encode(&self, proof: &mut Proof) {
        if let Some(below) = &self.below {
            proof.codes.extend(&below.codes);
            proof.leaves += below.leaves;
            return;
        }
        proof.leaves += 1;
        let codes = &mut proof.codes;
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
    /// The whole.
    pub(super) const ROOT: usize = 0;

    pub(super) fn new() -> Self {
        let root = Node { parent: 0, bound: f64::NEG_INFINITY, state: State::Waiting, leaf: Leaf::default() };
        Self { nodes: vec![root] }
    }

    /// Makes a leaf of a node that waited.
    pub(super) fn settle(&mut self, node: usize, leaf: Leaf, bound: f64) {
        let node = &mut self.nodes[node];
        (node.leaf, node.bound, node.state) = (leaf, bound, State::Leaf);
    }

    /// Makes an inner node of a leaf and returns its parts, which wait.
    pub(super) fn divide(&mut self, node: usize, division: Division) -> Vec<usize> {
        let first = self.nodes.len();
        let bound = self.nodes[node].bound;
        let part = || Node { parent: node, bound, state: State::Waiting, leaf: Leaf::default() };
        self.nodes.extend(division.splits().iter().map(|_| part()));
        self.nodes[node].state = State::Divided(division, first);
        (first..self.nodes.len()).collect()
    }

    /// Returns the bound of a node; of one that waits, that of the part it is of.
    pub(super) fn bound(&self, node: usize) -> f64 {
        let node = &self.nodes[node];
        if matches!(node.state, State::Waiting) { self.nodes[node.parent].bound } else { node.bound }
    }

    /// Returns the tree as a proof of the least bound: where a part waits, the one that it is of is a leaf.
    #[must_use]
    pub fn proof(&self) -> Proof {
        let mut proof = Proof::default();
        let mut path = vec![Self::ROOT];
        while let Some(at) = path.pop() {
            let node = &self.nodes[at];
            let parts = match &node.state {
                State::Divided(division, first) => Some((*division, *first..first + division.count())),
                State::Waiting | State::Leaf => None,
            };
            let bounded = |part: usize| !matches!(self.nodes[part].state, State::Waiting);
            let Some((division, parts)) = parts.filter(|(_, parts)| parts.clone().all(bounded)) else {
                node.leaf.encode(&mut proof);
                continue;
            };
            match division {
                Division::Input { input, cut } => proof.codes.extend([input as f64, cut]),
                Division::Unit { node, unit } => proof.codes.extend([PHASE, node as f64, unit as f64]),
                Division::Clause { clause, .. } => proof.codes.extend([ALTERNATIVES, clause as f64]),
            }
            path.extend(parts.rev());
        }
        proof
    }
}
