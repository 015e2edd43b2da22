//! Branch and bound over the inputs, for networks with few of them: boxes that bounds cannot close are halved where the
//! output reacts most, or closed over the phases that are left there, and the tree of both is the witness.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::attack::{Attack, Effort};
use super::closing::Closing;
use super::problem::{Problem, Subproblem};
use super::proof::{Branched, Leaf, Tree};
use crate::bounds::{BoxRegion, Hints};
use crate::checker::Refuter;
use crate::deadline::Deadline;
use crate::pass::bounds::Wide;

/// Inputs that may vary where splitting them is worth a try.
const MOST_INPUTS: usize = 40;
/// Splits on one path.
const DEEPEST: u32 = 400;
/// Attacks within a node are short: there are many nodes.
const NODE_EFFORT: Effort = Effort { restarts: 2, steps: 4, targets: 1 };

/// A run over one problem.
pub struct Branching<'r, T> {
    pub problem: &'r Problem,
    pub refuter: &'r Refuter<'r, Wide>,
    pub attack: &'r Attack<'r>,
    pub accept: &'r (dyn Fn(&[f64]) -> Option<T> + Sync),
    pub deadline: Deadline,
    pub seed: u64,
}

/// What the threads of one run share.
struct Shared<T> {
    stop: AtomicBool,
    found: std::sync::Mutex<Option<T>>,
    nodes: AtomicUsize,
}

impl<T> Shared<T> {
    /// The search is over.
    fn settle(&self, found: T) -> bool {
        self.stop.store(true, Ordering::Relaxed);
        // Another thread may have panicked only while the program ends.
        if let Ok(mut slot) = self.found.lock() {
            slot.get_or_insert(found);
        }
        true
    }
}

impl<T: Send> Branching<'_, T> {
    /// Is splitting worth a try?
    #[must_use]
    pub fn applies(problem: &Problem) -> bool {
        let varying = problem.region.lower().iter().zip(problem.region.upper()).filter(|(l, u)| l < u).count();
        (1..=MOST_INPUTS).contains(&varying)
    }

    /// Runs until everything is closed, a witness is found, or the time is over.
    #[must_use]
    pub fn run(&self) -> Branched<T> {
        let shared = Shared { stop: AtomicBool::new(false), found: std::sync::Mutex::new(None), nodes: AtomicUsize::new(0) };
        let root = Subproblem { region: self.problem.region.clone(), depth: 0 };
        let tree = self.explore(&root, &shared);
        if let Ok(Some(found)) = shared.found.into_inner() {
            return Branched::Unsafe(found);
        }
        tree.proof().map_or(Branched::Open, Branched::Refuted)
    }

    fn explore(&self, node: &Subproblem, shared: &Shared<T>) -> Tree {
        let late = self.deadline.has_passed();
        if late || node.depth >= DEEPEST || shared.stop.load(Ordering::Relaxed) {
            return Tree::Open;
        }
        let number = shared.nodes.fetch_add(1, Ordering::Relaxed);
        let (region, clauses) = (node.region.clone().into(), &self.problem.clauses);
        // Undefined here says nothing about the halves.
        if self.refuter.bound_by_intervals(&region, clauses).is_ok_and(|bounded| bounded.refuted) {
            return Tree::Leaf(Leaf::default());
        }
        let analysis = self.refuter.analyse(&region, &Hints::default()).ok();
        if analysis.as_ref().is_some_and(|analysis| self.refuter.bound_from(analysis, clauses, &Hints::default()).refuted) {
            return Tree::Leaf(Leaf::default());
        }
        let here = Problem {
            region: node.region.clone(),
            clauses: self.problem.clauses.clone(),
            lattice: self.problem.lattice.within(&node.region),
            start: node.region.centre(),
            ball: None,
        };
        let seed = self.seed ^ number as u64;
        if let Some(found) = self.attack.run(&here, NODE_EFFORT, seed, self.deadline, |point| (self.accept)(point)) {
            shared.settle(found);
            return Tree::Open;
        }
        if let Some(closing) = analysis.as_ref().and_then(|analysis| Closing::new(self.refuter, analysis, &here)) {
            let tree = closing.run(&mut |point| (self.accept)(point).is_some_and(|found| shared.settle(found)));
            if tree.is_closed() || shared.stop.load(Ordering::Relaxed) {
                return tree;
            }
        }
        let Some((input, cut)) = self.split(&here) else { return Tree::Open };
        let half = |lower: bool| {
            let (mut least, mut most) = (node.region.lower().to_vec(), node.region.upper().to_vec());
            (if lower { &mut most } else { &mut least })[input] = cut;
            BoxRegion::new(least, most).ok().map(|region| Subproblem { region, depth: node.depth + 1 })
        };
        let (Some(lower), Some(upper)) = (half(true), half(false)) else { return Tree::Open };
        let halves = rayon::join(|| self.explore(&lower, shared), || self.explore(&upper, shared));
        if halves.0.is_closed() && halves.1.is_closed() {
            Tree::Input { input, cut, halves: Box::new(halves) }
        } else {
            Tree::Open
        }
    }

    /// The input whose range moves the nearest alternative most, and its middle.
    fn split(&self, here: &Problem) -> Option<(usize, f64)> {
        let gradient = self.attack.sensitivity(here)?;
        let widths = here.region.lower().iter().zip(here.region.upper()).map(|(l, u)| u - l);
        let centre = here.region.centre();
        let splittable = |(i, (width, gradient)): (usize, (f64, &f64))| {
            let inside = here.region.lower()[i] < centre[i] && centre[i] < here.region.upper()[i];
            // A vanishing gradient at the centre does not make an input irrelevant.
            inside.then_some((i, width * (gradient.abs() + 1e-3)))
        };
        let best = widths.zip(&gradient).enumerate().filter_map(splittable).max_by(|a, b| a.1.total_cmp(&b.1));
        best.map(|(input, _)| (input, centre[input]))
    }
}
