//! Smallest boxes by branch and bound over the phases of ReLUs: for one end of a row after another a tree of splits whose
//! leaves prove how far the row can be, and a point that comes close. The checker proves both again.
//!
//! A node's bound is the optimum of the linear program of all relaxations on its phases ([`Program`]); the node whose bound is
//! farthest out is split next, where its bound loses most.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::deadline::Deadline;
use crate::kernel::model::ir::{NodeId, evaluate};
use crate::kernel::proof::End;
use crate::kernel::region::bounds::{Analysis, BoxRegion, Extent, Hints, LinearBounds, LinearRows, Phases, Refinement, attained};
use crate::kernel::sound::round::add_down;
use crate::pass::bounds::{Program, Wide};
use crate::search::branch::{Bounded, Division, Leaf, Limits, Outcome, Rules, Split, Subproblem, search};

/// How long to search.
#[derive(Clone, Copy, Debug)]
pub struct PhaseSearch {
    /// Splits for every end of a row.
    pub splits: u32,
    pub deadline: Deadline,
}

/// What was found of one end of a row.
#[derive(Clone, Debug)]
pub struct FoundEnd {
    pub row: usize,
    pub end: End,
    pub bound: f64,
    pub tree: Vec<f64>,
    pub point: Vec<f64>,
}

/// Ends are enclosed to this part of the width of what is attained.
const CLOSE: f64 = 2e-7;
/// What is subtracted from a bound relative to its size, so that the checker's own sums reach it.
const SLACK: f64 = 1e-13;

/// Encloses the ends of all rows more tightly where the network is one of ReLUs with few enough variables; `extents` are
/// narrowed to what was found.
pub fn enclose_ends(
    prepared: &LinearBounds,
    region: &BoxRegion,
    rows: &LinearRows,
    extents: &mut [Extent],
    search: PhaseSearch,
) -> Vec<FoundEnd> {
    if search.splits == 0 {
        return Vec::new();
    }
    let vectors = Wide::default();
    let whole = region.clone().into();
    let base = prepared.analyse(&whole, &Phases::new(), Refinement::Backward, &Hints::default(), &vectors);
    let Ok(base) = base else { return Vec::new() };
    let Some(program) = Program::new(&base) else { return Vec::new() };
    let mut found = Vec::new();
    for (row, extent) in extents.iter_mut().enumerate() {
        for end in [End::Lower, End::Upper] {
            let (least, met) = match end {
                End::Lower => (extent.outer.lower, extent.attained.lower),
                End::Upper => (-extent.outer.upper, -extent.attained.upper),
            };
            let close = CLOSE * (extent.attained.upper - extent.attained.lower).max(0.0);
            if least >= met - close {
                continue;
            }
            let one = if end == End::Lower { rows.row(row) } else { rows.row(row).negated() };
            let Some(minimum) = Minimum::new(prepared, &base, &program, &one, met - close).search(close, search) else {
                continue;
            };
            if minimum.bound <= least && minimum.met >= met {
                continue;
            }
            match end {
                End::Lower => {
                    extent.outer.lower = least.max(minimum.bound);
                    extent.attained.lower = met.min(minimum.met);
                }
                End::Upper => {
                    extent.outer.upper = -least.max(minimum.bound);
                    extent.attained.upper = -met.min(minimum.met);
                }
            }
            let bound = if end == End::Lower { minimum.bound } else { -minimum.bound };
            found.push(FoundEnd { row, end, bound, tree: minimum.tree, point: minimum.point });
        }
    }
    found
}

/// The least value of one row.
struct Minimum<'a, 'n> {
    prepared: &'a LinearBounds<'n>,
    base: &'a Analysis<'a, 'n>,
    program: &'a Program,
    row: &'a LinearRows,
    ids: Vec<NodeId>,
    vectors: Wide,
    shared: Mutex<Shared>,
}

/// What parts tell each other.
struct Shared {
    /// The least value that was attained here, and where.
    met: f64,
    point: Vec<f64>,
    /// A bound that is enough: more is not attained, or cannot be proved.
    enough: f64,
    /// Of what is attained to a bound that is enough.
    close: f64,
}

/// What is between a proved bound and an attained value.
struct Enclosed {
    bound: f64,
    met: f64,
    tree: Vec<f64>,
    point: Vec<f64>,
}

impl<'a, 'n> Minimum<'a, 'n> {
    fn new(
        prepared: &'a LinearBounds<'n>,
        base: &'a Analysis<'a, 'n>,
        program: &'a Program,
        row: &'a LinearRows,
        enough: f64,
    ) -> Self {
        let shared = Shared { met: f64::INFINITY, point: Vec::new(), enough, close: 0.0 };
        let ids = prepared.network().ids().collect();
        Self { prepared, base, program, row, ids, vectors: Wide::default(), shared: Mutex::new(shared) }
    }

    /// `None` where nothing is proved.
    fn search(&self, close: f64, effort: PhaseSearch) -> Option<Enclosed> {
        self.shared().close = close;
        // Both parts of one that is divided are bounded together.
        let limits = Limits {
            deadline: effort.deadline,
            parts: 1 + 2 * effort.splits as usize,
            depth: usize::MAX,
            batch: 2,
            open: usize::MAX,
            give_up: false,
        };
        let searched = search(self, (), &limits);
        let shared = self.shared();
        let least = searched.bound.min(shared.met);
        if shared.point.is_empty() || !least.is_finite() {
            return None;
        }
        let bound = add_down(least, -SLACK * (1.0 + least.abs()));
        Some(Enclosed { bound, met: shared.met, tree: searched.tree.proof().codes, point: shared.point.clone() })
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        // A thread that panicked ends the program; what it held is whole.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn plain(&self, analysis: &Analysis) -> f64 {
        let bounds = analysis.lower_bounds(self.row, &Hints::default(), &self.vectors);
        bounds.first().copied().unwrap_or(f64::NEG_INFINITY)
    }

    fn meet(&self, mut point: Vec<f64>) {
        let region = self.base.region().bounds();
        let ends = region.lower().iter().zip(region.upper());
        point.iter_mut().zip(ends).for_each(|(x, (l, u))| *x = x.clamp(*l, *u));
        let Ok(outputs) = evaluate(self.prepared.network(), &point) else { return };
        let value: f64 = outputs.iter().zip(&self.row.coefficients).map(|(y, c)| c * y).sum();
        if value >= self.shared().met {
            return;
        }
        let Ok(met) = attained(self.prepared, self.row, &point) else { return };
        let mut shared = self.shared();
        if met < shared.met {
            (shared.met, shared.point) = (met, point);
            shared.enough = shared.enough.min(met - shared.close);
        }
    }
}

impl Rules for Minimum<'_, '_> {
    type Kept = ();
    type Found = ();

    fn is_enough(&self, bound: f64) -> bool {
        bound >= self.shared().enough
    }

    /// Bounds a part, and tries the point where the bound is attained.
    fn bound(&self, part: &Subproblem, (): &()) -> Bounded<(), ()> {
        let unit = |split: &Split| match *split {
            Split::Unit { node, unit, active } => Some(((self.ids[node], unit), active)),
            _ => None,
        };
        let phases: Phases = part.splits.iter().filter_map(unit).collect();
        let analysis = match self.base.with_phases(&phases) {
            Ok(analysis) => analysis,
            Err(error) if error.is_empty() => {
                return Bounded { bound: f64::INFINITY, leaf: Leaf::default(), outcome: Outcome::Closed };
            }
            Err(_) => return Bounded { bound: f64::NEG_INFINITY, leaf: Leaf::default(), outcome: Outcome::Stuck },
        };
        let (bound, leaf, costly) = match self.program.solve(&analysis, self.row, &self.vectors) {
            None => (self.plain(&analysis), Leaf::default(), None),
            Some(solved) => {
                if let Some(point) = solved.input {
                    self.meet(point);
                }
                (solved.bound, Leaf::of(&analysis, &solved.hints), solved.losses.first().map(|&(_, unit)| unit))
            }
        };
        let outcome = if let Some((node, unit)) = costly {
            Outcome::Divide(Division::Unit { node: node.index(), unit }, ())
        } else {
            // Better than this one nothing becomes.
            let mut shared = self.shared();
            shared.enough = shared.enough.min(bound);
            Outcome::Stuck
        };
        Bounded { bound, leaf, outcome }
    }
}
