//! What bounds leave open on one box, closed by linear programs over the phases of its few unstable ReLUs: all atoms that
//! hold at once are looked at together, so a part is closed where only their sum is refuted.

use std::sync::Arc;

use super::problem::Problem;
use super::proof::{Leaf, Tree};
use crate::bounds::{Analysis, Hints, LinearRows, Phases, Vectorise};
use crate::checker::{Narrowed, Refuter, atoms};
use crate::pass::bounds::{Combined, Program, Wide};
use crate::vnnlib::{Atom, Clause, Terms};

/// Unstable ReLUs on a box, at most: with more, its inputs are split first.
const MOST_UNSTABLE: usize = 100;
/// What one linear program may cost, in bounds of a box with all that is tried there.
const MOST_COST: f64 = 3.0;
/// Linear programs for one box.
const PROGRAMS: usize = 24;

/// One box of a search.
pub struct Closing<'r> {
    pub refuter: &'r Refuter<'r, Wide>,
    /// Bounds on the box, without phases.
    pub base: &'r Analysis<'r, 'r>,
    pub problem: &'r Problem,
    program: Program,
}

/// What is left to spend, and whether a point was accepted.
struct Spent {
    programs: usize,
    stopped: bool,
}

impl<'r> Closing<'r> {
    /// `None` where too much is unstable, or no linear program says it.
    #[must_use]
    pub fn new(refuter: &'r Refuter<'r, Wide>, base: &'r Analysis<'r, 'r>, problem: &'r Problem) -> Option<Self> {
        let unstable = base.flexible().take(MOST_UNSTABLE + 1).count();
        let region = base.region().bounds();
        let inputs = region.lower().iter().zip(region.upper()).filter(|(l, u)| l < u).count();
        if unstable > MOST_UNSTABLE || program_cost(unstable, inputs) > MOST_COST * box_cost(refuter) {
            return None;
        }
        Program::new(base).map(|program| Self { refuter, base, problem, program })
    }

    /// A tree, open where something stays open. `accept` is shown points that look unsafe; true ends the search.
    pub fn run(&self, accept: &mut dyn FnMut(&[f64]) -> bool) -> Tree {
        let whole = Narrowed::new(&self.problem.clauses);
        let mut spent = Spent { programs: PROGRAMS, stopped: false };
        let several = |(_, clause): &(usize, &Arc<Clause>)| clause.alternatives.len() > 1;
        let fewest = self.problem.clauses.iter().enumerate().filter(several).min_by_key(|(_, c)| c.alternatives.len());
        let Some((clause, alternatives)) = fewest else { return self.explore(&whole, &Phases::new(), &mut spent, accept) };
        let mut parts = Vec::new();
        for alternative in 0..alternatives.alternatives.len() {
            let part = self.explore(&whole.choose(clause, alternative), &Phases::new(), &mut spent, accept);
            if !part.is_closed() {
                return Tree::Open;
            }
            parts.push(part);
        }
        Tree::Alternatives { clause, parts }
    }

    fn explore(&self, case: &Narrowed, phases: &Phases, spent: &mut Spent, accept: &mut dyn FnMut(&[f64]) -> bool) -> Tree {
        let analysis = match self.base.with_phases(phases) {
            Ok(analysis) => analysis,
            Err(error) if error.is_empty() => return Tree::Leaf(Leaf::default()),
            Err(_) => return Tree::Open,
        };
        let clauses = case.clauses();
        if self.refuter.bound_from(&analysis, &clauses, &Hints::default()).refuted {
            return Tree::Leaf(Leaf::default());
        }
        if spent.stopped || spent.programs == 0 || self.refuter.vectors().interrupted() {
            return Tree::Open;
        }
        spent.programs -= 1;
        let Some(combined) = self.combined(&analysis, &clauses) else { return Tree::Open };
        if combined.refuted {
            let leaf = Leaf::of(&analysis, &combined.hints);
            return Tree::Leaf(Leaf { weights: Some(combined.weights), ..leaf });
        }
        if let Some(mut point) = combined.input {
            self.problem.lattice.snap(&mut point);
            spent.stopped |= accept(&point);
        }
        let Some(&(_, (relu, element))) = combined.losses.first() else { return Tree::Open };
        let mut half = |active: bool| {
            let mut phases = phases.clone();
            phases.insert((relu, element), active);
            self.explore(case, &phases, spent, accept)
        };
        let inactive = half(false);
        if !inactive.is_closed() {
            return Tree::Open;
        }
        let active = half(true);
        if !active.is_closed() {
            return Tree::Open;
        }
        Tree::Phase { relu, element, halves: Box::new((inactive, active)) }
    }

    /// The atoms that all hold, together; the weights are for all usable atoms.
    fn combined(&self, analysis: &Analysis, clauses: &[Arc<Clause>]) -> Option<Combined> {
        let region = analysis.region().bounds();
        let inputs: Vec<(f64, f64)> = region.lower().iter().copied().zip(region.upper().iter().copied()).collect();
        let positions = self.refuter.usable(clauses);
        let all: Vec<(&Atom, bool)> = clauses
            .iter()
            .flat_map(|clause| atoms(std::slice::from_ref(clause)).map(|atom| (atom, clause.alternatives.len() == 1)))
            .collect();
        let chosen: Vec<usize> = (0..positions.len()).filter(|&at| all[positions[at]].1).collect();
        let rows = self.refuter.rows(clauses);
        let outputs = rows.coefficients.len() / rows.constants.len().max(1);
        let mut together = LinearRows { coefficients: Vec::new(), constants: Vec::new() };
        for &at in &chosen {
            let atom = all[positions[at]].0;
            let on_inputs = Atom { outputs: Terms::default(), ..atom.clone() }.range(&inputs, &[]).0;
            together.coefficients.extend(&rows.coefficients[at * outputs..(at + 1) * outputs]);
            together.constants.push(on_inputs - atom.bound.nearest);
        }
        if together.constants.is_empty() {
            return None;
        }
        let expanded = |weights: &[f64]| {
            let mut all = vec![0.0; positions.len()];
            chosen.iter().zip(weights).for_each(|(&at, &weight)| all[at] = weight);
            all
        };
        let judge = |weights: &[f64], hints: &Hints| {
            let combination = self.refuter.combination(clauses, &expanded(weights));
            self.refuter.refutes(analysis, &combination, hints)
        };
        let combined = self.program.solve_all(analysis, &together, judge)?;
        Some(Combined { weights: expanded(&combined.weights), ..combined })
    }
}

/// Multiplications of one linear program: some fifteen factorisations, and setting it up.
fn program_cost(unstable: usize, inputs: usize) -> f64 {
    let (rows, variables) = ((3 * unstable + 2 * inputs) as f64, (unstable + inputs) as f64);
    1e6 + 15.0 * rows * variables * variables
}

/// Multiplications that a box takes: bounds, and attacks with what they cost at least.
fn box_cost(refuter: &Refuter<Wide>) -> f64 {
    4e5 + 2.0 * refuter.cost()
}

impl std::fmt::Debug for Closing<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Closing").finish_non_exhaustive()
    }
}
