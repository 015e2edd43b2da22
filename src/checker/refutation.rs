//! Unsafe cases refuted on boxes: the bounds are computed here, from the network; nothing but hints is taken from a witness.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::bounds::{
    Analysis, BoundsError, BoxRegion, Hints, Linear, LinearBounds, LinearRows, Loops, NodeBounds, Phases, Refinement, Region,
    Vectorise,
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
        let intervals = self.bounds.propagator().intervals(region.bounds())?;
        let lower = ranges(clauses, region.bounds(), intervals.output());
        Ok(Bounded { method: Method::Intervals, refuted: contradicted(clauses, &lower), lower })
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
        let bounded = self.bound_by_intervals(region, clauses)?;
        if bounded.refuted || usable_rows(clauses, self.bounds.network().output_size()).is_empty() {
            return Ok(bounded);
        }
        Ok(self.bound_from(&self.analyse(region, hints)?, clauses, hints))
    }

    /// Bounds of all nodes, for [`Refuter::bound_from`].
    ///
    /// # Errors
    /// As [`Refuter::bound`].
    pub fn analyse(&self, region: &Region, hints: &Hints) -> Result<Analysis<'_, 'n>, BoundsError> {
        self.bounds.analyse(region, &Phases::new(), Refinement::Backward, hints, &self.vectors)
    }

    /// The same as [`Refuter::bound_with`] from bounds of all nodes, inside the phases that are fixed there.
    #[must_use]
    pub fn bound_from(&self, analysis: &Analysis, clauses: &[Arc<Clause>], hints: &Hints) -> Bounded {
        let rows = self.rows(clauses);
        self.judge(analysis, clauses, &analysis.lower_bounds(&rows, hints, &self.vectors))
    }

    /// What lower bounds of the rows say about clauses.
    #[must_use]
    pub fn judge(&self, analysis: &Analysis, clauses: &[Arc<Clause>], bounds: &[f64]) -> Bounded {
        let region = analysis.region().bounds();
        let network = self.bounds.network();
        let mut lower = ranges(clauses, region, analysis.node(network.output()));
        let inputs = ends(region.lower(), region.upper());
        for ((position, atom), &bound) in usable(clauses, network.output_size()).zip(bounds) {
            // What an atom says of inputs is bounded by itself.
            let mine = add_down(bound, Atom { outputs: Vec::new(), ..atom.clone() }.range(&inputs, &[]).0);
            if mine > lower[position] {
                lower[position] = mine;
            }
        }
        Bounded { method: Method::Backward, refuted: contradicted(clauses, &lower), lower }
    }

    /// How loops are run.
    pub const fn vectors(&self) -> &V {
        &self.vectors
    }

    /// The network, ready for a search of slopes.
    #[must_use]
    pub const fn linear_bounds(&self) -> &LinearBounds<'n> {
        &self.bounds
    }

    /// The rows over the outputs that backward bounds are asked for.
    #[must_use]
    pub fn rows(&self, clauses: &[Arc<Clause>]) -> LinearRows {
        rows(clauses, self.bounds.network().output_size())
    }
}

/// All atoms, clause by clause and alternative by alternative.
pub fn atoms(clauses: &[Arc<Clause>]) -> impl Iterator<Item = &Atom> {
    clauses.iter().flat_map(|clause| clause.alternatives.iter().flatten())
}

/// Lower bounds of all atoms for inputs and outputs in these bounds.
fn ranges(clauses: &[Arc<Clause>], inputs: &BoxRegion, outputs: &NodeBounds) -> Vec<f64> {
    let (inputs, outputs) = (ends(inputs.lower(), inputs.upper()), ends(outputs.lower(), outputs.upper()));
    atoms(clauses).map(|atom| atom.range(&inputs, &outputs).0).collect()
}

fn ends(lower: &[f64], upper: &[f64]) -> Vec<(f64, f64)> {
    lower.iter().copied().zip(upper.iter().copied()).collect()
}

/// The atoms that [`Refuter::rows`] are about, as positions in [`atoms`].
pub(super) fn usable_rows(clauses: &[Arc<Clause>], outputs: usize) -> Vec<usize> {
    usable(clauses, outputs).map(|(position, _)| position).collect()
}

/// Atoms beyond the limit are not used: what is not bounded refutes nothing.
fn usable(clauses: &[Arc<Clause>], outputs: usize) -> impl Iterator<Item = (usize, &Atom)> {
    let exact = move |atom: &Atom| atom.outputs.iter().all(|term| term.coefficient.is_exact() && term.index < outputs);
    let most = MAX_ROW_ENTRIES / outputs.max(1);
    atoms(clauses).enumerate().filter(move |(_, atom)| !atom.outputs.is_empty() && exact(atom)).take(most)
}

/// The rows over outputs of all atoms whose coefficients are `f64` numbers.
fn rows(clauses: &[Arc<Clause>], outputs: usize) -> LinearRows {
    let chosen: Vec<_> = usable(clauses, outputs).collect();
    let mut coefficients = vec![0.0; chosen.len() * outputs];
    for ((_, atom), row) in chosen.iter().zip(coefficients.chunks_exact_mut(outputs.max(1))) {
        // Each output is there once.
        atom.outputs.iter().for_each(|term| row[term.index] = term.coefficient.lower);
    }
    LinearRows { coefficients, constants: vec![0.0; chosen.len()] }
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
