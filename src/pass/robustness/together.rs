//! The atoms that all have to hold at once, as rows whose weighted sums are bounded: a part is closed where one of them, or
//! their sum, is refuted.

use std::sync::Arc;

use crate::kernel::read::vnnlib::{Atom, Clause, Terms};
use crate::kernel::region::bounds::{Analysis, Hints, LinearRows};
use crate::kernel::region::{Refuter, atoms};
use crate::pass::bounds::{Joint, Wide, raise_jointly};
use crate::search::branch::Leaf;

/// The usable atoms of clauses with one alternative, on one region.
pub struct Together<'a> {
    refuter: &'a Refuter<'a, Wide>,
    analysis: &'a Analysis<'a, 'a>,
    clauses: &'a [Arc<Clause>],
    /// Of all rows those that are added.
    chosen: Vec<usize>,
    /// How many rows there are.
    all: usize,
    /// The atoms' left sides less their right ones.
    pub rows: LinearRows,
}

impl<'a> Together<'a> {
    /// `None` where there is no such atom.
    #[must_use]
    pub fn new(refuter: &'a Refuter<'a, Wide>, analysis: &'a Analysis<'a, 'a>, clauses: &'a [Arc<Clause>]) -> Option<Self> {
        let region = analysis.region().bounds();
        let inputs: Vec<(f64, f64)> = region.lower().iter().copied().zip(region.upper().iter().copied()).collect();
        let positions = refuter.usable(clauses);
        let one =
            |clause: &'a Arc<Clause>| atoms(std::slice::from_ref(clause)).map(move |atom| (atom, clause.alternatives.len() == 1));
        let every: Vec<(&Atom, bool)> = clauses.iter().flat_map(one).collect();
        let chosen: Vec<usize> = (0..positions.len()).filter(|&at| every[positions[at]].1).collect();
        let given = refuter.rows(clauses);
        let outputs = given.coefficients.len() / given.constants.len().max(1);
        let mut rows = LinearRows { coefficients: Vec::new(), constants: Vec::new() };
        for &at in &chosen {
            let atom = every[positions[at]].0;
            let on_inputs = Atom { outputs: Terms::default(), ..atom.clone() }.range(&inputs, &[]).0;
            rows.coefficients.extend(&given.coefficients[at * outputs..(at + 1) * outputs]);
            rows.constants.push(on_inputs - atom.bound.nearest);
        }
        let any = !chosen.is_empty();
        any.then_some(Self { refuter, analysis, clauses, chosen, all: positions.len(), rows })
    }

    /// Returns weights to start from: those that a larger part ended with, or most on the row that is nearest to being refuted;
    /// `bounds` are those of all rows.
    #[must_use]
    pub fn start(&self, kept: &[f64], bounds: &[f64]) -> Vec<f64> {
        let count = self.chosen.len();
        if kept.len() == count && kept.iter().all(|weight| weight.is_finite()) {
            return kept.to_vec();
        }
        let slack = |row: usize| bounds.get(self.chosen[row]).copied().unwrap_or(f64::NEG_INFINITY) + self.rows.constants[row];
        let nearest = (0..count).max_by(|&i, &j| slack(i).total_cmp(&slack(j))).unwrap_or(0);
        let rest = if count > 1 { 0.2 / (count - 1) as f64 } else { 0.0 };
        (0..count).map(|row| if row == nearest { if count > 1 { 0.8 } else { 1.0 } } else { rest }).collect()
    }

    /// Raises the bound of the sum: the leaf that it closes, or the best that was met, if anything was.
    ///
    /// # Errors
    /// What stays open.
    pub fn raise(&self, weights: &[f64], start: &Hints, steps: usize) -> Result<Leaf, Option<Box<Joint>>> {
        let mut found = None;
        let enough = |_: f64, weights: &[f64], hints: &Hints| {
            let refuted = self.is_refuted(weights, hints);
            if refuted {
                let weights = (self.all > 1).then(|| self.expanded(weights));
                found = Some(Leaf { weights, ..Leaf::of(self.analysis, hints) });
            }
            refuted
        };
        let vectors = self.refuter.vectors();
        let joint = raise_jointly(self.analysis, &self.rows, weights, start, steps, enough, vectors);
        found.ok_or_else(|| joint.map(Box::new))
    }

    /// Whether the weighted sum is refuted, as a leaf with these weights and hints is judged.
    fn is_refuted(&self, weights: &[f64], hints: &Hints) -> bool {
        if self.all > 1 {
            return self.sum_is_refuted(weights, hints);
        }
        self.refuter.bound_from(self.analysis, self.clauses, hints).refuted
    }

    /// Whether the weighted sum is refuted.
    #[must_use]
    pub fn sum_is_refuted(&self, weights: &[f64], hints: &Hints) -> bool {
        let combination = self.refuter.combination(self.clauses, &self.expanded(weights));
        self.refuter.refutes(self.analysis, &combination, hints)
    }

    /// Returns the weighted sum of the rows.
    #[must_use]
    pub fn row(&self, weights: &[f64]) -> LinearRows {
        let outputs = self.rows.coefficients.len() / self.rows.constants.len().max(1);
        let mut sum = LinearRows { coefficients: vec![0.0; outputs], constants: vec![0.0] };
        let rows = self.rows.coefficients.chunks_exact(outputs.max(1)).zip(&self.rows.constants);
        for ((row, constant), weight) in rows.zip(weights) {
            sum.coefficients.iter_mut().zip(row).for_each(|(sum, c)| *sum += weight * c);
            sum.constants[0] += weight * constant;
        }
        sum
    }

    /// Returns weights for all usable atoms.
    #[must_use]
    pub fn expanded(&self, weights: &[f64]) -> Vec<f64> {
        let mut all = vec![0.0; self.all];
        self.chosen.iter().zip(weights).for_each(|(&at, &weight)| all[at] = weight);
        all
    }

    /// Returns the leaf without slopes of its own, where those of the whole case are enough with its multipliers.
    #[must_use]
    pub fn shorter(&self, usual: &Hints, leaf: Leaf) -> Leaf {
        if self.all > 1 {
            return leaf;
        }
        let hints = Hints { rows: usual.rows.clone(), multipliers: leaf.multipliers.clone(), ..Hints::default() };
        if self.refuter.bound_from(self.analysis, self.clauses, &hints).refuted {
            return Leaf::with_multipliers(hints.multipliers);
        }
        leaf
    }
}

impl std::fmt::Debug for Together<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Together").field("chosen", &self.chosen).finish_non_exhaustive()
    }
}
