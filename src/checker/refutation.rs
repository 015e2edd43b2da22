//! Unsafe cases refuted on boxes: the bounds are computed here, from the network; nothing but where to split is taken from
//! a witness.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::refusal::ClaimRefusal;
use crate::bounds::{
    BoundsError, BoxRegion, Hints, Linear, LinearBounds, LinearRows, Loops, Phases, Refinement, Region, Vectorise,
};
use crate::certificate::Semantics;
use crate::ir::{Network, Op};
use crate::sound::round::add_down;
use crate::vnnlib::{Atom, Clause};

/// Coefficients of all rows of a case: 1 GB.
const MAX_ROW_ENTRIES: usize = 1 << 27;

/// Bounds atoms on boxes of one network's inputs.
#[derive(Clone, Debug)]
pub struct Refuter<'n, V = Loops> {
    bounds: LinearBounds<'n>,
    vectors: V,
}

/// Which bounds were tight enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    Intervals,
    Backward,
    /// Lipschitz bounds of differences of outputs.
    Lipschitz,
}

/// What bounds say about a case on a region.
#[derive(Clone, Debug)]
pub struct Bounded {
    /// The last bounds that were tried.
    pub method: Method,
    /// No input of the box satisfies the case.
    pub refuted: bool,
    /// A lower bound of the left side of every atom, clause by clause and alternative by alternative.
    pub lower: Vec<f64>,
}

impl<'n> Refuter<'n> {
    /// # Errors
    /// When a constant of the network is undefined.
    pub fn new(network: &'n Network, semantics: Semantics) -> Result<Self, BoundsError> {
        Refuter::with_vectors(network, semantics, Loops)
    }
}

impl<'n, V: Vectorise> Refuter<'n, V> {
    /// The same with loops compiled otherwise, which changes no bound.
    ///
    /// # Errors
    /// As there.
    pub fn with_vectors(network: &'n Network, semantics: Semantics, vectors: V) -> Result<Self, BoundsError> {
        LinearBounds::new(network, semantics).map(|bounds| Self { bounds, vectors })
    }

    /// Multiplications that backward bounds may need at most, when nothing is known of the region.
    #[must_use]
    pub fn cost(&self) -> f64 {
        let network = self.bounds.network();
        let (mut before, mut total) = (0.0, 0.0);
        for id in network.ids().filter(|&id| network.node(id).variable) {
            let node = network.node(id);
            let operand = node.operands.first().map_or(0, |&o| network.node(o).size());
            match (&node.op, Linear::of(node, operand)) {
                (_, Some(linear)) => before += linear.terms() as f64 * node.size() as f64,
                (Op::Function(_) | Op::PRelu | Op::Reduce(_) | Op::Softmax, None) => total += 2.0 * before * operand as f64,
                _ => {}
            }
        }
        total
    }

    /// What [`Refuter::bound`] tries first: intervals alone.
    ///
    /// # Errors
    /// As there.
    pub fn bound_by_intervals(&self, region: &Region, clauses: &[Arc<Clause>]) -> Result<Bounded, BoundsError> {
        let (lower, _, _) = self.on_intervals(region, clauses)?;
        Ok(Bounded { method: Method::Intervals, refuted: contradicted(clauses, &lower), lower })
    }

    /// Lower bounds of all atoms, the inputs' bounds, and the number of outputs.
    #[allow(clippy::type_complexity)]
    fn on_intervals(&self, region: &Region, clauses: &[Arc<Clause>]) -> Result<(Vec<f64>, Vec<(f64, f64)>, usize), BoundsError> {
        let inputs: Vec<_> = region.bounds().lower().iter().copied().zip(region.bounds().upper().iter().copied()).collect();
        let intervals = self.bounds.propagator().intervals(region.bounds())?;
        let outputs: Vec<_> = intervals.output().iter().map(|y| (y.lower, y.upper)).collect();
        Ok((atoms(clauses).map(|atom| atom.range(&inputs, &outputs).0).collect(), inputs, outputs.len()))
    }

    /// Does no input of the region, with its output, satisfy all clauses? Intervals are tried first, then backward bounds.
    ///
    /// # Errors
    /// When the network is undefined on the region, which refutes nothing.
    pub fn bound(&self, region: &Region, clauses: &[Arc<Clause>]) -> Result<Bounded, BoundsError> {
        self.bound_with(region, clauses, &Hints::default())
    }

    /// The same, where backward bounds try other slopes besides the usual ones.
    ///
    /// # Errors
    /// As there.
    pub fn bound_with(&self, region: &Region, clauses: &[Arc<Clause>], hints: &Hints) -> Result<Bounded, BoundsError> {
        let (mut lower, inputs, outputs) = self.on_intervals(region, clauses)?;
        if contradicted(clauses, &lower) {
            return Ok(Bounded { method: Method::Intervals, refuted: true, lower });
        }
        let (positions, rows) = rows(clauses, outputs);
        if positions.is_empty() {
            return Ok(Bounded { method: Method::Intervals, refuted: false, lower });
        }
        let analysis = self.bounds.analyse(region, &Phases::new(), Refinement::Backward, hints, &self.vectors)?;
        let bounds = analysis.lower_bounds(&rows, Some(&hints.rows), &self.vectors);
        for ((position, atom), bound) in positions.into_iter().zip(bounds) {
            // What an atom says of inputs is bounded by itself.
            let mine = add_down(bound, Atom { outputs: Vec::new(), ..atom.clone() }.range(&inputs, &[]).0);
            if mine > lower[position] {
                lower[position] = mine;
            }
        }
        Ok(Bounded { method: Method::Backward, refuted: contradicted(clauses, &lower), lower })
    }

    /// The network, ready for a search of slopes.
    #[must_use]
    pub const fn linear_bounds(&self) -> &LinearBounds<'n> {
        &self.bounds
    }

    /// The rows over the outputs that backward bounds are asked for.
    #[must_use]
    pub fn rows(&self, clauses: &[Arc<Clause>]) -> LinearRows {
        rows(clauses, self.bounds.network().output_size()).1
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
            if !self.bound(&Region::from(leaf), clauses)?.refuted {
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

/// The rows over outputs of all atoms whose coefficients are `f64` numbers, and which atoms they are.
fn rows(clauses: &[Arc<Clause>], outputs: usize) -> (Vec<(usize, &Atom)>, LinearRows) {
    let exact = |atom: &Atom| atom.outputs.iter().all(|term| term.coefficient.is_exact() && term.index < outputs);
    // Atoms beyond the limit are not used: what is not bounded refutes nothing.
    let most = MAX_ROW_ENTRIES / outputs.max(1);
    let usable = atoms(clauses).enumerate().filter(|(_, atom)| !atom.outputs.is_empty() && exact(atom));
    let chosen: Vec<_> = usable.take(most).collect();
    let mut coefficients = vec![0.0; chosen.len() * outputs];
    for ((_, atom), row) in chosen.iter().zip(coefficients.chunks_exact_mut(outputs.max(1))) {
        // Each output is there once.
        atom.outputs.iter().for_each(|term| row[term.index] = term.coefficient.lower);
    }
    let constants = vec![0.0; chosen.len()];
    (chosen, LinearRows { coefficients, constants })
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
