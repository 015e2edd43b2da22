//! Unsafe cases refuted on boxes: the bounds are computed here, from the network; nothing but where to split is taken from
//! a witness.

use std::sync::Arc;

use super::refusal::ClaimRefusal;
use crate::bounds::{BoundsError, BoxRegion, Propagator};
use crate::certificate::Semantics;
use crate::ir::Network;
use crate::vnnlib::{Atom, Clause};

/// Bounds atoms on boxes of one network's inputs.
#[derive(Clone, Debug)]
pub struct Refuter<'n> {
    propagator: Propagator<'n>,
}

/// What bounds say about a case on a box.
#[derive(Clone, Debug)]
pub struct Bounded {
    /// No input of the box satisfies the case.
    pub refuted: bool,
    /// A lower bound of the left side of every atom, clause by clause and alternative by alternative.
    pub lower: Vec<f64>,
}

impl<'n> Refuter<'n> {
    /// # Errors
    /// When a constant of the network is undefined.
    pub fn new(network: &'n Network, semantics: Semantics) -> Result<Self, BoundsError> {
        Propagator::new(network, semantics).map(|propagator| Self { propagator })
    }

    /// Does no input of the box, with its output, satisfy all clauses?
    ///
    /// # Errors
    /// When the network is undefined on the box, which refutes nothing.
    pub fn bound(&self, region: &BoxRegion, clauses: &[Arc<Clause>]) -> Result<Bounded, BoundsError> {
        let intervals = self.propagator.intervals(region)?;
        let outputs: Vec<_> = intervals.output().iter().map(|y| (y.lower, y.upper)).collect();
        let inputs: Vec<_> = region.lower().iter().copied().zip(region.upper().iter().copied()).collect();
        let lower: Vec<f64> = atoms(clauses).map(|atom| atom.range(&inputs, &outputs).0).collect();
        Ok(Bounded { refuted: contradicted(clauses, &lower), lower })
    }

    /// Refutes a case on a box along a tree of splits.
    ///
    /// The tree is in pre-order: an inner node is the input that is split and where, both halves keeping the cut; a leaf
    /// is −1, and the case is refuted on its box by bounds.
    ///
    /// # Errors
    /// The first leaf that is not refuted, or a tree that is none.
    pub fn refute(&self, region: &BoxRegion, clauses: &[Arc<Clause>], tree: &[f64]) -> Result<(), ClaimRefusal> {
        let malformed = |what| ClaimRefusal::Shape { what };
        let (mut lower, mut upper) = (region.lower().to_vec(), region.upper().to_vec());
        // The path to the current node: the input, the cut, its bounds before, and whether the upper half is being done.
        let mut path: Vec<(usize, f64, f64, f64, bool)> = Vec::new();
        let mut codes = tree.iter().copied();
        loop {
            let code = codes.next().ok_or_else(|| malformed("a tree of splits ends before its leaves"))?;
            if code != LEAF {
                let input = code as usize;
                let cut = codes.next().ok_or_else(|| malformed("a tree of splits ends before its leaves"))?;
                let inside = input < lower.len() && input as f64 == code && lower[input] <= cut && cut <= upper[input];
                if !inside {
                    return Err(malformed("a split lies outside its box"));
                }
                path.push((input, cut, lower[input], upper[input], false));
                upper[input] = cut;
                continue;
            }
            let leaf = BoxRegion::new(lower.clone(), upper.clone()).map_err(|_| malformed("a split leaves no box"))?;
            if !self.bound(&leaf, clauses)?.refuted {
                return Err(ClaimRefusal::NotRefuted);
            }
            // Up to the first node whose upper half is still to be done.
            loop {
                let Some((input, cut, old_lower, old_upper, done)) = path.pop() else {
                    return if codes.next().is_none() {
                        Ok(())
                    } else {
                        Err(malformed("a tree of splits goes on after its end"))
                    };
                };
                if done {
                    lower[input] = old_lower;
                } else {
                    upper[input] = old_upper;
                    lower[input] = cut;
                    path.push((input, cut, old_lower, old_upper, true));
                    break;
                }
            }
        }
    }
}

/// The code of a leaf.
pub const LEAF: f64 = -1.0;

/// All atoms, clause by clause and alternative by alternative.
pub fn atoms(clauses: &[Arc<Clause>]) -> impl Iterator<Item = &Atom> {
    clauses.iter().flat_map(|clause| clause.alternatives.iter().flatten())
}

/// Do these lower bounds contradict the clauses? They do where every alternative of some clause has an atom that fails.
fn contradicted(clauses: &[Arc<Clause>], lower: &[f64]) -> bool {
    let mut lower = lower.iter();
    let mut found = false;
    for clause in clauses {
        let mut all = true;
        for alternative in &clause.alternatives {
            // Every bound is taken from the iterator, whatever the others say.
            let refuted = alternative.iter().filter(|atom| lower.next().is_some_and(|&low| atom.refuted_by(low))).count();
            all &= refuted > 0;
        }
        found |= all;
    }
    found
}
