//! Branch and bound over the phases of ReLUs, for networks with many inputs: what bounds cannot close is split where a
//! relaxation loses most, and the tree with its multipliers is the witness (Bunel et al., JMLR 2020; Wang et al., NeurIPS 2021).

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::problem::Problem;
use super::proof::{Branched, Leaf, Tree};
use crate::bounds::{Analysis, Hints, LinearRows, Phases};
use crate::checker::{Narrowed, Refuter};
use crate::deadline::Deadline;
use crate::ir::NodeId;
use crate::pass::bounds::{Wide, raise};
use crate::vnnlib::Clause;

/// Steps that multipliers are searched for at a node.
const STEPS: usize = 8;
/// Splits that are tried at a node before one is made.
const TRIED: usize = 4;

/// A run over one problem.
pub struct PhaseBranching<'r, T> {
    pub problem: &'r Problem,
    pub refuter: &'r Refuter<'r, Wide>,
    /// Slopes for the whole case.
    pub hints: &'r Hints,
    pub accept: &'r (dyn Fn(&[f64]) -> Option<T> + Sync),
    pub deadline: Deadline,
}

/// What the threads of one run share.
struct Shared<T> {
    stop: AtomicBool,
    found: Mutex<Option<T>>,
}

/// A node: what is left of the case, which phases are fixed, and multipliers to start from.
struct Node<'c> {
    case: Narrowed<'c>,
    phases: Phases,
    multipliers: Vec<f64>,
}

impl<T: Send> PhaseBranching<'_, T> {
    /// Runs until everything is closed, a witness is found, or the time is over.
    #[must_use]
    pub fn run(&self) -> Branched<T> {
        let Ok(base) = self.refuter.analyse(&self.problem.region.clone().into(), self.hints) else { return Branched::Open };
        let shared = Shared { stop: AtomicBool::new(false), found: Mutex::new(None) };
        let whole = Narrowed::new(&self.problem.clauses);
        let tree = self.alternatives(&base, &whole, &shared);
        if let Ok(Some(found)) = shared.found.into_inner() {
            return Branched::Unsafe(found);
        }
        tree.proof().map_or(Branched::Open, Branched::Refuted)
    }

    /// Every alternative of the clause with the fewest is a case of its own: phases that help one cost the others.
    fn alternatives(&self, base: &Analysis, case: &Narrowed, shared: &Shared<T>) -> Tree {
        let several = |(_, clause): &(usize, &std::sync::Arc<Clause>)| clause.alternatives.len() > 1;
        let clauses = self.problem.clauses.iter().enumerate().filter(several);
        let Some((clause, alternatives)) = clauses.min_by_key(|(_, clause)| clause.alternatives.len()) else {
            return self.explore(base, &Node { case: case.clone(), phases: Phases::new(), multipliers: Vec::new() }, shared);
        };
        let mut parts = Vec::new();
        for alternative in 0..alternatives.alternatives.len() {
            let node = Node { case: case.choose(clause, alternative), phases: Phases::new(), multipliers: Vec::new() };
            let part = self.explore(base, &node, shared);
            if !part.is_closed() {
                return Tree::Open;
            }
            parts.push(part);
        }
        Tree::Alternatives { clause, parts }
    }

    fn explore(&self, base: &Analysis, node: &Node, shared: &Shared<T>) -> Tree {
        let late = self.deadline.has_passed();
        if late || shared.stop.load(Ordering::Relaxed) {
            return Tree::Open;
        }
        let analysis = match base.with_phases(&node.phases) {
            Ok(analysis) => analysis,
            Err(error) if error.is_empty() => return Tree::Leaf(Leaf::default()),
            Err(_) => return Tree::Open,
        };
        let clauses = node.case.clauses();
        let outputs = analysis.network().output_size();
        let vectors = self.refuter.vectors();
        let hints = node.case.hints(self.hints, node.multipliers.clone(), outputs);
        let plain = Hints { multipliers: Vec::new(), ..hints.clone() };
        if self.refuter.bound_from(&analysis, &clauses, &plain).refuted {
            return Tree::Leaf(Leaf::default());
        }
        let rows = self.refuter.rows(&clauses);
        let enough = |bounds: &[f64]| self.refuter.judge(&analysis, &clauses, bounds).refuted;
        let raised = raise(&analysis, &rows, &hints, STEPS, enough, vectors);
        if enough(&raised.bounds) {
            return Tree::Leaf(Leaf::with_multipliers(raised.multipliers));
        }
        // The row that is nearest to a contradiction.
        let nearest = (0..raised.bounds.len()).max_by(|&i, &j| raised.bounds[i].total_cmp(&raised.bounds[j]));
        let Some(nearest) = nearest else { return Tree::Open };
        if let Some(mut point) = raised.input(nearest) {
            self.problem.lattice.snap(&mut point);
            if let Some(found) = (self.accept)(&point) {
                shared.stop.store(true, Ordering::Relaxed);
                // Another thread may have panicked only while the program ends.
                if let Ok(mut slot) = shared.found.lock() {
                    slot.get_or_insert(found);
                }
                return Tree::Open;
            }
        }
        let candidates = raised.costly(nearest, TRIED);
        let hints = Hints { multipliers: raised.multipliers, ..hints };
        let best = candidates.into_iter().max_by(|&a, &b| {
            let [a, b] = [a, b].map(|relu| self.promise(&analysis, &rows, nearest, &hints, relu));
            a.total_cmp(&b)
        });
        let Some((relu, element)) = best else { return Tree::Open };
        let half = |active: bool| {
            let mut phases = node.phases.clone();
            phases.insert((relu, element), active);
            let multipliers = with_column(&hints.multipliers, &phases, (relu, element));
            let child = Node { case: node.case.clone(), phases, multipliers };
            self.explore(base, &child, shared)
        };
        let halves = rayon::join(|| half(false), || half(true));
        if halves.0.is_closed() && halves.1.is_closed() {
            Tree::Phase { relu, element, halves: Box::new(halves) }
        } else {
            Tree::Open
        }
    }

    /// What a split is worth: the lesser of the bounds of both halves, and a little of the greater.
    fn promise(&self, analysis: &Analysis, rows: &LinearRows, row: usize, hints: &Hints, relu: (NodeId, usize)) -> f64 {
        let bound = |active: bool| {
            let Ok(half) = analysis.with_phases(&Phases::from([(relu, active)])) else { return f64::INFINITY };
            let multipliers = with_column(&hints.multipliers, half.phases(), relu);
            let hints = Hints { rows: hints.rows.clone(), multipliers, ..Hints::default() };
            let vectors = self.refuter.vectors();
            half.backward(half.network().output(), &rows.coefficients, &hints, None, vectors)[row]
        };
        let (inactive, active) = (bound(false), bound(true));
        inactive.min(active) + 1e-3 * inactive.max(active).min(inactive.min(active).abs() + 1.0)
    }
}

/// Multipliers for one more phase, which is worth nothing yet.
fn with_column(multipliers: &[f64], phases: &Phases, added: (NodeId, usize)) -> Vec<f64> {
    let column = phases.keys().position(|&relu| relu == added).unwrap_or(0);
    let before = phases.len() - 1;
    if before == 0 {
        return Vec::new();
    }
    let rows = multipliers.chunks_exact(before);
    rows.flat_map(|row| row[..column].iter().copied().chain([0.0]).chain(row[column..].iter().copied())).collect()
}

impl<T> std::fmt::Debug for PhaseBranching<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PhaseBranching").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
