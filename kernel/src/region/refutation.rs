//! Unsafe cases refuted on boxes: the bounds are computed here, from the network; nothing but hints is taken from a witness.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::ir::{Network, Op};
use crate::proof::Semantics;
use crate::read::vnnlib::{Atom, Clause, Terms};
use crate::region::bounds::{
    Analysis, BoundsError, BoxRegion, Hints, Linear, LinearBounds, LinearRows, Loops, NodeBounds, Phases, Refinement, Region,
    Vectorise,
};
use crate::sound::round::{SMALLEST_SUBNORMAL, add_down, add_up, gamma, mul_down, mul_up};

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
    /// Backward bounds with other slopes, or on parts.
    Parts,
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

/// A sum of atoms: a row over the outputs, and what is beside it.
#[derive(Clone, Debug)]
pub struct Combination {
    pub row: LinearRows,
    /// `Σ weight·|coefficient|` for each output, rounded up: what the row's own rounding is measured by.
    magnitudes: Vec<f64>,
    /// What the atoms say of inputs.
    inputs: Vec<(f64, Atom)>,
    right: f64,
    terms: usize,
}

impl Combination {
    /// Whether the sum is above its right side, with this lower bound of its row.
    #[must_use]
    pub fn is_refuted(&self, analysis: &Analysis, bound: f64) -> bool {
        let region = analysis.region().bounds();
        let inputs = ends(region.lower(), region.upper());
        let on_inputs = self.inputs.iter().map(|(weight, atom)| mul_down(*weight, atom.range(&inputs, &[]).0));
        let lower = on_inputs.fold(bound, add_down);
        // Every coefficient of the row is a sum of rounded products, at most one of each atom: `Terms` holds that.
        let relative = gamma(2 * self.terms + 2);
        let outputs = analysis.node(analysis.network().output());
        let lost = self.magnitudes.iter().zip(outputs.iter()).map(|(&size, y)| {
            let rounding = add_up(mul_up(relative, size), mul_up(self.terms as f64, SMALLEST_SUBNORMAL));
            mul_up(rounding, y.magnitude())
        });
        let lost = lost.fold(0.0, add_up);
        // Written so that a NaN refutes nothing.
        self.terms > 0 && add_down(lower, -lost) > self.right
    }
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

    /// Bounds the clauses on a region, to find out whether no input there satisfies all of them: by intervals, then by backward bounds.
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
            let mine = add_down(bound, Atom { outputs: Terms::default(), ..atom.clone() }.range(&inputs, &[]).0);
            if mine > lower[position] {
                lower[position] = mine;
            }
        }
        Bounded { method: Method::Backward, refuted: contradicted(clauses, &lower), lower }
    }

    /// The atoms that these rows are about, as positions in [`atoms`].
    #[must_use]
    pub fn usable(&self, clauses: &[Arc<Clause>]) -> Vec<usize> {
        usable_rows(clauses, self.bounds.network().output_size())
    }

    /// The sum of the atoms that all hold (those of clauses with one alternative), each times its weight, one for every usable
    /// atom; others than positive numbers count as zero. Refuted where the sum of the left sides stays above that of the
    /// right ones, whatever each is by itself (Farkas).
    #[must_use]
    pub fn combination(&self, clauses: &[Arc<Clause>], weights: &[f64]) -> Combination {
        let outputs = self.bounds.network().output_size();
        let mut sum = Combination {
            row: LinearRows { coefficients: vec![0.0; outputs], constants: vec![0.0] },
            magnitudes: vec![0.0; outputs],
            inputs: Vec::new(),
            right: 0.0,
            terms: 0,
        };
        let alone = clauses.iter().flat_map(|clause| {
            let count: usize = clause.alternatives.iter().map(Vec::len).sum();
            std::iter::repeat_n(clause.alternatives.len() == 1, count)
        });
        let alone: Vec<bool> = alone.collect();
        for ((position, atom), &weight) in usable(clauses, outputs).zip(weights) {
            if !(alone[position] && weight > 0.0 && weight.is_finite()) {
                continue;
            }
            sum.terms += 1;
            sum.right = add_up(sum.right, mul_up(weight, atom.bound.upper));
            for term in atom.outputs.iter() {
                sum.row.coefficients[term.index] += weight * term.coefficient.lower;
                let size = mul_up(weight, term.coefficient.lower.abs());
                sum.magnitudes[term.index] = add_up(sum.magnitudes[term.index], size);
            }
            if !atom.inputs.is_empty() {
                sum.inputs.push((weight, Atom { outputs: Terms::default(), ..atom.clone() }));
            }
        }
        sum
    }

    /// Whether a combination is refuted inside the phases of an analysis.
    #[must_use]
    pub fn refutes(&self, analysis: &Analysis, combination: &Combination, hints: &Hints) -> bool {
        let bound = analysis.lower_bounds(&combination.row, hints, &self.vectors).first().copied().unwrap_or(f64::NEG_INFINITY);
        combination.is_refuted(analysis, bound)
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
        // Each output is there once: `Terms` holds that.
        atom.outputs.iter().for_each(|term| row[term.index] = term.coefficient.lower);
    }
    LinearRows { coefficients, constants: vec![0.0; chosen.len()] }
}

/// Whether these lower bounds contradict the clauses: every alternative of some clause has an atom that fails.
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
