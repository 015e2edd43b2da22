//! What bounds leave open on one box, closed by linear programs over the phases of its few unstable ReLUs: all atoms that
//! hold at once are looked at together, so a part is closed where only their sum is refuted.

use std::sync::Mutex;

use super::parts::fewest;
use super::problem::Problem;
use super::proof::Branched;
use super::together::Together;
use crate::deadline::Deadline;
use crate::kernel::model::ir::NodeId;
use crate::kernel::region::bounds::{Analysis, Hints, Phases};
use crate::kernel::region::{Narrowed, Refuter};
use crate::pass::bounds::{Combined, Program, Wide};
use crate::search::branch::{Bounded, Division, End, Leaf, Limits, Outcome, Rules, Split, Subproblem, search};

/// Unstable ReLUs on a box, at most: with more, its inputs are split first.
const MOST_UNSTABLE: usize = 100;
/// What one linear program may cost, in bounds of a box with all that is tried there.
const MOST_COST: f64 = 3.0;
/// Linear programs for one box.
const PROGRAMS: usize = 24;

/// One box of a search.
pub struct Closing<'r, T> {
    refuter: &'r Refuter<'r, Wide>,
    /// Bounds on the box, without phases.
    base: &'r Analysis<'r, 'r>,
    problem: &'r Problem,
    accept: &'r (dyn Fn(&[f64]) -> Option<T> + Sync),
    program: Program,
    /// Linear programs that are left.
    programs: Mutex<usize>,
}

impl<'r, T: Send> Closing<'r, T> {
    /// `None` where too much is unstable, or no linear program says it.
    #[must_use]
    pub fn new(
        refuter: &'r Refuter<'r, Wide>,
        base: &'r Analysis<'r, 'r>,
        problem: &'r Problem,
        accept: &'r (dyn Fn(&[f64]) -> Option<T> + Sync),
    ) -> Option<Self> {
        let unstable = base.flexible().take(MOST_UNSTABLE + 1).count();
        let region = base.region().bounds();
        let inputs = region.lower().iter().zip(region.upper()).filter(|(l, u)| l < u).count();
        if unstable > MOST_UNSTABLE || program_cost(unstable, inputs) > MOST_COST * box_cost(refuter) {
            return None;
        }
        Program::new(base).map(|program| Self { refuter, base, problem, accept, program, programs: Mutex::new(PROGRAMS) })
    }

    /// Closes the box, finds a point that is accepted, or gives up.
    pub fn run(&self, deadline: Deadline) -> Branched<T> {
        let limits = Limits { deadline, parts: 4 * PROGRAMS, depth: PROGRAMS, batch: 1, open: usize::MAX, give_up: true };
        let searched = search(self, (), &limits);
        match searched.end {
            End::Closed => Branched::Refuted(searched.tree.proof()),
            End::Found(found) => Branched::Unsafe(found),
            End::Stuck | End::Limit => Branched::Open,
        }
    }

    /// Counts a linear program; false where none is left.
    fn spend(&self) -> bool {
        // A thread that panicked ends the program; the number is whole.
        let mut left = self.programs.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let any = *left > 0;
        *left = left.saturating_sub(1);
        any
    }

    /// The atoms that all hold, together; the weights are for all usable atoms.
    fn combined(&self, together: &Together, analysis: &Analysis) -> Option<Combined> {
        let judge = |weights: &[f64], hints: &Hints| together.sum_is_refuted(weights, hints);
        let combined = self.program.solve_all(analysis, &together.rows, judge)?;
        Some(Combined { weights: together.expanded(&combined.weights), ..combined })
    }
}

impl<T: Send> Rules for Closing<'_, T> {
    type Kept = ();
    type Found = T;

    fn is_enough(&self, _: f64) -> bool {
        false
    }

    fn bound(&self, part: &Subproblem, (): &()) -> Bounded<(), T> {
        let left = |outcome| Bounded { bound: part.splits.len() as f64, leaf: Leaf::default(), outcome };
        let closed = |leaf| Bounded { bound: f64::INFINITY, leaf, outcome: Outcome::Closed };
        if part.splits.is_empty()
            && let Some((clause, alternatives)) = fewest(&self.problem.clauses)
        {
            return left(Outcome::Divide(Division::Clause { clause, alternatives }, ()));
        }
        let (mut case, mut phases) = (Narrowed::new(&self.problem.clauses), Phases::new());
        let ids: Vec<NodeId> = self.base.network().ids().collect();
        for split in &part.splits {
            match *split {
                Split::Clause { clause, alternative } => case = case.choose(clause, alternative),
                Split::Unit { node, unit, active } => {
                    phases.insert((ids[node], unit), active);
                }
                Split::Input { .. } => {}
            }
        }
        let analysis = match self.base.with_phases(&phases) {
            Ok(analysis) => analysis,
            Err(error) if error.is_empty() => return closed(Leaf::default()),
            Err(_) => return left(Outcome::Stuck),
        };
        let clauses = case.clauses();
        if self.refuter.bound_from(&analysis, &clauses, &Hints::default()).refuted {
            return closed(Leaf::default());
        }
        if !self.spend() {
            return left(Outcome::Stuck);
        }
        let together = Together::new(self.refuter, &analysis, &clauses);
        let Some(combined) = together.as_ref().and_then(|together| self.combined(together, &analysis)) else {
            return left(Outcome::Stuck);
        };
        if combined.refuted {
            return closed(Leaf { weights: Some(combined.weights), ..Leaf::of(&analysis, &combined.hints) });
        }
        if let Some(mut point) = combined.input {
            self.problem.lattice.snap(&mut point);
            if let Some(found) = (self.accept)(&point) {
                return left(Outcome::Found(found));
            }
        }
        match combined.losses.first() {
            Some(&(_, (node, unit))) => left(Outcome::Divide(Division::Unit { node: node.index(), unit }, ())),
            None => left(Outcome::Stuck),
        }
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

impl<T> std::fmt::Debug for Closing<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Closing").finish_non_exhaustive()
    }
}
