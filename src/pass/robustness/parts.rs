//! The parts of one case of a specification, or of one sample: bounded, attacked, and divided along inputs, phases of ReLUs or
//! the alternatives of a clause (Bunel et al., JMLR 2020; Wang et al., *Beta-CROWN*, NeurIPS 2021).
//!
//! Networks with few inputs are split along them; what bounds leave open on a small box is closed over the phases that are left
//! there. With many inputs the phases are split, on bounds of all nodes that are computed once for the whole box.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::attack::{Attack, Effort};
use super::boxes::Choice;
use super::closing::Closing;
use super::problem::Problem;
use super::proof::Branched;
use super::together::Together;
use crate::deadline::Deadline;
use crate::kernel::model::ir::NodeId;
use crate::kernel::read::vnnlib::Clause;
use crate::kernel::region::bounds::{Analysis, BoxRegion, Hints, LinearRows, Phases, Trace};
use crate::kernel::region::{Narrowed, Refuter};
use crate::pass::bounds::{Effort as Steps, Joint, Wide, optimise};
use crate::search::branch::{Bounded, Division, End, Leaf, Limits, Outcome, Proof, Rules, Split, Subproblem, search};

/// Inputs that may vary where splitting them is worth a try.
const MOST_INPUTS: usize = 40;
/// Splits on one path.
const DEEPEST: usize = 400;
/// Parts that are bounded at once.
const BATCH: usize = 16;
/// Numbers that parts which wait may keep.
const KEPT: usize = 1 << 26;
/// Attacks within a part are short: there are many parts.
const PART_EFFORT: Effort = Effort { restarts: 2, steps: 4, targets: 1 };
/// One part in so many is attacked.
const ATTACKED: usize = 4;
/// Steps that slopes, multipliers and weights are searched for.
const STEPS: usize = 8;
/// Linear programs follow where a box's bound is below zero by at most so much of what that of its parent is.
const NEAR: f64 = 0.25;
/// Phases that are tried before one is split.
const TRIED: usize = 4;

/// Positions of slopes that a certificate holds for one case: half of its bundle.
pub const MOST_POSITIONS: usize = 1 << 22;
/// Of the time that is left, what one search of slopes may take.
const SLOPES: f64 = 0.3;

/// One problem that is to be closed.
pub struct Parts<'r, T> {
    pub problem: &'r Problem,
    pub refuter: &'r Refuter<'r, Wide>,
    pub attack: &'r Attack<'r>,
    pub accept: &'r (dyn Fn(&[f64]) -> Option<T> + Sync),
    pub deadline: Deadline,
    pub seed: u64,
    /// Numbers that leaves and slopes may still put into a certificate.
    pub room: &'r AtomicUsize,
    /// What bounds of the closed leaves took, in nanoseconds: about what a checker takes for them, which has to be done in time.
    pub checking: &'r AtomicU64,
}

/// What the parts of a part start from.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// Of the rows that are added.
    weights: Vec<f64>,
    /// Of the fixed phases, for that sum.
    multipliers: BTreeMap<(NodeId, usize), f64>,
    /// Slopes for that sum.
    slopes: Hints,
    /// How near the part was to being closed.
    bound: f64,
}

/// The same with bounds on the whole box where phases are split.
struct Run<'p, 'r, T> {
    parts: &'p Parts<'r, T>,
    /// Slopes for the whole case.
    hints: &'p Hints,
    ids: Vec<NodeId>,
    whole: Option<Analysis<'r, 'r>>,
}

impl<T: Send> Parts<'_, T> {
    /// Whether few enough inputs vary to split them.
    #[must_use]
    pub fn are_boxes(problem: &Problem) -> bool {
        let varying = problem.region.lower().iter().zip(problem.region.upper()).filter(|(l, u)| l < u).count();
        (1..=MOST_INPUTS).contains(&varying)
    }

    /// Closes the problem: where inputs are too many to be split by better slopes first, then by parts, until everything is closed, a
    /// witness is found, or the time is over. Returns the slopes that its proof needs. `attack` looks for a witness before parts
    /// are tried that start from slopes.
    pub fn decide(&self, attack: &dyn Fn() -> Option<T>) -> (Branched<T>, Option<Hints>) {
        if Self::are_boxes(self.problem) {
            return (self.run(&Hints::default()), None);
        }
        let (closed, hints) = self.slopes();
        let branched = if closed {
            Branched::Refuted(Proof::leaf())
        } else if let Some(found) = attack() {
            Branched::Unsafe(found)
        } else {
            self.run(&hints)
        };
        match branched {
            Branched::Refuted(_) if !self.takes(hints.len()) => (Branched::Open, None),
            branched => (branched, Some(hints)),
        }
    }

    /// Takes so many numbers from those that a certificate holds; false where they do not fit.
    fn takes(&self, numbers: usize) -> bool {
        self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| room.checked_sub(numbers)).is_ok()
    }

    /// Looks for slopes with which bounds close the problem, or from which a search by parts starts.
    fn slopes(&self) -> (bool, Hints) {
        let region = self.problem.region.clone().into();
        let rows = self.refuter.rows(&self.problem.clauses);
        let mut best = Hints::default();
        // Little first, then more: a search costs its steps times what bounds cost.
        for effort in [Steps { rows: 20, nodes: 0 }, Steps { rows: 20, nodes: 4 }, Steps { rows: 30, nodes: 12 }] {
            let (prepared, vectors) = (self.refuter.linear_bounds(), Wide::until(self.deadline.share(SLOPES)));
            let Ok(found) = optimise(prepared, &region, &Phases::new(), &rows, effort, &vectors) else { break };
            if found.hints.len() > MOST_POSITIONS {
                break;
            }
            best = found.hints;
            if self.refuter.bound_with(&region, &self.problem.clauses, &best).is_ok_and(|bounded| bounded.refuted) {
                return (true, best);
            }
        }
        (false, best)
    }

    /// Runs until everything is closed, a witness is found, or the time is over.
    fn run(&self, hints: &Hints) -> Branched<T> {
        let whole = if Self::are_boxes(self.problem) {
            None
        } else {
            match self.refuter.analyse(&self.problem.region.clone().into(), hints) {
                Ok(whole) => Some(whole),
                Err(_) => return Branched::Open,
            }
        };
        let flexible = whole.as_ref().map_or(0, |whole| whole.flexible().count());
        let limits = Limits {
            deadline: self.deadline,
            parts: usize::MAX,
            depth: DEEPEST,
            batch: BATCH,
            open: (KEPT / (flexible + 1)).min(1 << 20),
            give_up: false,
        };
        let ids = self.refuter.linear_bounds().network().ids().collect();
        let searched = search(&Run { parts: self, hints, ids, whole }, Kept::default(), &limits);
        match searched.end {
            End::Found(found) => Branched::Unsafe(found),
            End::Closed => Branched::Refuted(searched.tree.proof()),
            End::Stuck | End::Limit => Branched::Open,
        }
    }
}

impl<T: Send> Rules for Run<'_, '_, T> {
    type Kept = Kept;
    type Found = T;

    fn is_enough(&self, _: f64) -> bool {
        false
    }

    fn has_ended(&self) -> bool {
        let checking = Duration::from_nanos(self.parts.checking.load(Ordering::Relaxed));
        self.parts.deadline.sooner(checking).has_passed()
    }

    fn bound(&self, part: &Subproblem, kept: &Kept) -> Bounded<Kept, T> {
        match &self.whole {
            Some(whole) => self.bound_phases(whole, part, kept),
            None => self.bound_box(part, kept),
        }
    }
}

/// Returns a part of which nothing is left, with what proves that.
fn closed<T>(leaf: Leaf) -> Bounded<Kept, T> {
    Bounded { bound: f64::INFINITY, leaf, outcome: Outcome::Closed }
}

fn left<T>(bound: f64, outcome: Outcome<Kept, T>) -> Bounded<Kept, T> {
    Bounded { bound, leaf: Leaf::default(), outcome }
}

impl<T: Send> Run<'_, '_, T> {
    /// Returns the box of a part; `None` where a split leaves none.
    fn region(&self, part: &Subproblem) -> Option<BoxRegion> {
        let root = &self.parts.problem.region;
        let (mut lower, mut upper) = (root.lower().to_vec(), root.upper().to_vec());
        for split in &part.splits {
            if let Split::Input { input, cut, above } = *split {
                (if above { &mut lower } else { &mut upper })[input] = cut;
            }
        }
        BoxRegion::new(lower, upper).ok()
    }

    fn phases(&self, part: &Subproblem) -> Phases {
        let unit = |split: &Split| match *split {
            Split::Unit { node, unit, active } => Some(((self.ids[node], unit), active)),
            _ => None,
        };
        part.splits.iter().filter_map(unit).collect()
    }

    fn case(&self, part: &Subproblem) -> Narrowed<'_> {
        let mut case = Narrowed::new(&self.parts.problem.clauses);
        for split in &part.splits {
            if let Split::Clause { clause, alternative } = *split {
                case = case.choose(clause, alternative);
            }
        }
        case
    }

    /// Bounds a box; what they leave open is attacked, then closed over its phases, then halved.
    fn bound_box(&self, part: &Subproblem, kept: &Kept) -> Bounded<Kept, T> {
        let Parts { problem, refuter, attack, deadline, .. } = *self.parts;
        let clauses = &problem.clauses;
        let Some(region) = self.region(part) else { return left(f64::NEG_INFINITY, Outcome::Stuck) };
        let here = Problem {
            lattice: problem.lattice.within(&region),
            start: region.centre(),
            region: region.clone(),
            clauses: clauses.clone(),
            ball: None,
        };
        let start = Instant::now();
        // Undefined here says nothing about the halves.
        let Ok(analysis) = refuter.analyse(&region.into(), &Hints::default()) else {
            let outcome = Choice::widest(&here).map_or(Outcome::Stuck, |division| Outcome::Divide(division, kept.clone()));
            return left(f64::NEG_INFINITY, outcome);
        };
        let spent = start.elapsed();
        let rows = refuter.rows(clauses);
        let mut trace = Trace::default();
        let network = analysis.network();
        let bounds =
            analysis.backward(network.output(), &rows.coefficients, &Hints::default(), Some(&mut trace), refuter.vectors());
        let judged = refuter.judge(&analysis, clauses, &bounds);
        if judged.refuted {
            return self.closed(Leaf::default(), spent);
        }
        let together = Together::new(refuter, &analysis, clauses);
        let mut joint = None;
        if let Some(together) = &together {
            let weights = together.start(&kept.weights, &bounds);
            match together.raise(&weights, &Hints::default(), STEPS) {
                Ok(leaf) if self.has_room(&leaf) => return self.closed(leaf, spent),
                Ok(_) => {}
                Err(found) => joint = found,
            }
        }
        if let Some(found) = joint.as_ref().and_then(|joint| self.try_point(&here, &joint.input)) {
            return left(f64::NEG_INFINITY, Outcome::Found(found));
        }
        let number = part.splits.len();
        if number.is_multiple_of(ATTACKED) {
            let seed = self.parts.seed ^ seed_of(part);
            if let Some(found) = attack.run(&here, PART_EFFORT, seed, deadline, |point| (self.parts.accept)(point)) {
                return left(f64::NEG_INFINITY, Outcome::Found(found));
            }
        }
        let choice = Choice { refuter, problem: &here, judged: &judged, trace: &trace };
        let bound = joint.as_ref().map_or_else(|| choice.slack(), |joint| joint.bound);
        // Linear programs are for what halving has nearly closed.
        let near = bound > NEAR * kept.bound.min(0.0);
        if near && let Some(closing) = Closing::new(refuter, &analysis, &here, self.parts.accept) {
            match closing.run(deadline) {
                Branched::Refuted(proof) => {
                    let leaf = Leaf { below: Some(Box::new(proof)), ..Leaf::default() };
                    if self.has_room(&leaf) {
                        return self.closed(leaf, spent);
                    }
                }
                Branched::Unsafe(found) => return left(f64::NEG_INFINITY, Outcome::Found(found)),
                Branched::Open => {}
            }
        }
        let Some(division) = choice.division() else { return left(f64::NEG_INFINITY, Outcome::Stuck) };
        let weights = joint.map_or_else(Vec::new, |joint| joint.weights);
        left(bound, Outcome::Divide(division, Kept { weights, bound, ..Kept::default() }))
    }

    /// Closes a part whose bounds took so long.
    fn closed(&self, leaf: Leaf, spent: Duration) -> Bounded<Kept, T> {
        let nanoseconds = u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX);
        self.parts.checking.fetch_add(nanoseconds, Ordering::Relaxed);
        closed(leaf)
    }

    /// Takes the numbers of a leaf from those that a certificate holds; false where they do not fit.
    fn has_room(&self, leaf: &Leaf) -> bool {
        self.parts.takes(leaf.numbers())
    }

    fn try_point(&self, here: &Problem, point: &[f64]) -> Option<T> {
        if point.len() != here.lattice.len() {
            return None;
        }
        let mut point = point.to_vec();
        here.lattice.snap(&mut point);
        (self.parts.accept)(&point)
    }

    /// Bounds a part of the whole box where phases are fixed.
    fn bound_phases(&self, whole: &Analysis<'_, '_>, part: &Subproblem, kept: &Kept) -> Bounded<Kept, T> {
        let Parts { problem, refuter, .. } = *self.parts;
        let hints = self.hints;
        let case = self.case(part);
        // Every alternative of the clause with the fewest is a case of its own: phases that help one cost the others.
        if part.splits.is_empty()
            && let Some((clause, alternatives)) = fewest(&problem.clauses)
        {
            let division = Division::Clause { clause, alternatives };
            return left(f64::NEG_INFINITY, Outcome::Divide(division, Kept::default()));
        }
        let start = Instant::now();
        let analysis = match whole.with_phases(&self.phases(part)) {
            Ok(analysis) => analysis,
            Err(error) if error.is_empty() => return closed(Leaf::default()),
            Err(_) => return left(f64::NEG_INFINITY, Outcome::Stuck),
        };
        let clauses = case.clauses();
        let outputs = analysis.network().output_size();
        let usual = case.hints(hints, Vec::new(), outputs);
        let rows = refuter.rows(&clauses);
        let bounds = analysis.lower_bounds(&rows, &usual, refuter.vectors());
        let spent = start.elapsed();
        if refuter.judge(&analysis, &clauses, &bounds).refuted {
            return self.closed(Leaf::default(), spent);
        }
        let Some(together) = Together::new(refuter, &analysis, &clauses) else {
            return left(f64::NEG_INFINITY, Outcome::Stuck);
        };
        let multipliers = analysis.phases().keys().map(|unit| kept.multipliers.get(unit).copied().unwrap_or(0.0)).collect();
        let slopes = if kept.slopes.is_empty() { &usual.rows } else { &kept.slopes.rows };
        let start = Hints { rows: slopes.clone(), multipliers, ..Hints::default() };
        let weights = together.start(&kept.weights, &bounds);
        let joint = match together.raise(&weights, &start, STEPS) {
            Ok(leaf) => {
                let leaf = together.shorter(&usual, leaf);
                if self.has_room(&leaf) {
                    return self.closed(leaf, spent);
                }
                return left(f64::NEG_INFINITY, Outcome::Stuck);
            }
            Err(Some(joint)) => joint,
            Err(None) => return left(f64::NEG_INFINITY, Outcome::Stuck),
        };
        if let Some(found) = self.try_point(problem, &joint.input) {
            return left(f64::NEG_INFINITY, Outcome::Found(found));
        }
        let candidates = joint.losses.iter().take(TRIED).map(|&(_, unit)| unit);
        let row = together.row(&joint.weights);
        let promising = candidates.map(|unit| (self.promise(&analysis, &row, &joint, unit), unit));
        let Some((_, (node, unit))) = promising.max_by(|a, b| a.0.total_cmp(&b.0)) else {
            return left(joint.bound, Outcome::Stuck);
        };
        let division = Division::Unit { node: node.index(), unit };
        let multipliers = analysis.phases().keys().copied().zip(joint.hints.multipliers).collect();
        let slopes = Hints { rows: joint.hints.rows, ..Hints::default() };
        left(joint.bound, Outcome::Divide(division, Kept { weights: joint.weights, multipliers, slopes, bound: joint.bound }))
    }

    /// What a split is worth: the lesser of the bounds of both halves, and a little of the greater.
    fn promise(&self, analysis: &Analysis, row: &LinearRows, joint: &Joint, unit: (NodeId, usize)) -> f64 {
        let bound = |active: bool| {
            let Ok(half) = analysis.with_phases(&Phases::from([(unit, active)])) else { return f64::INFINITY };
            let known = || analysis.phases().keys().zip(&joint.hints.multipliers);
            let of = |wanted: &(NodeId, usize)| known().find(|(unit, _)| *unit == wanted).map_or(0.0, |(_, value)| *value);
            let multipliers = half.phases().keys().map(of).collect();
            let hints = Hints { rows: joint.hints.rows.clone(), multipliers, ..Hints::default() };
            let vectors = self.parts.refuter.vectors();
            let found = half.backward(half.network().output(), &row.coefficients, &hints, None, vectors);
            found.first().copied().unwrap_or(f64::NEG_INFINITY)
        };
        let (inactive, active) = (bound(false), bound(true));
        inactive.min(active) + 1e-3 * inactive.max(active).min(inactive.min(active).abs() + 1.0)
    }
}

/// Returns the clause with the fewest alternatives, of those with several, and how many these are.
pub(super) fn fewest(clauses: &[Arc<Clause>]) -> Option<(usize, usize)> {
    let counts = clauses.iter().map(|clause| clause.alternatives.len()).enumerate();
    counts.filter(|(_, count)| *count > 1).min_by_key(|(_, count)| *count)
}

/// Returns a number that is another for every part.
fn seed_of(part: &Subproblem) -> u64 {
    let mix = |seed: u64, split: &Split| match *split {
        Split::Input { input, above, .. } => {
            seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(2 * input as u64 + u64::from(above) + 1)
        }
        _ => seed,
    };
    part.splits.iter().fold(1, mix)
}

impl<T> std::fmt::Debug for Parts<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
