//! Whether both of two networks prefer one class on all of a case: refuted by bounds, whole or in parts, that one does not; or an input of
//! which they prefer different ones.

use std::sync::atomic::{AtomicU64, AtomicUsize};

use crate::deadline::Deadline;
use crate::kernel::model::ir::{Network, evaluate};
use crate::kernel::region::bounds::{BoxRegion, Hints, Propagator};
use crate::kernel::region::{Refuter, agreement, classes};
use crate::pass::bounds::Wide;
use crate::pass::robustness::{Attack, Branched, Effort, Parts, Problem};
use crate::search::branch::Proof;

/// Attacks before a case is split.
const EFFORT: Effort = Effort { restarts: 4, steps: 20, targets: 6 };

/// What was found of one case.
#[derive(Clone, Debug)]
pub enum Agreed {
    /// Both prefer this class.
    Class {
        class: usize,
        tree: Proof,
        hints: Hints,
    },
    /// They prefer different ones here.
    Differs(Vec<f64>),
    Open,
}

/// What decides about classes: two networks as one with bounds of differences, and as they are.
pub struct Classes<'a> {
    pub refuter: &'a Refuter<'a, Wide>,
    /// Side by side.
    pub network: &'a Network,
    pub attack: &'a Attack<'a>,
    pub both: &'a [Propagator<'a>; 2],
    pub seed: u64,
}

impl Classes<'_> {
    /// Decides about one case; `problem` says where its inputs are, and has no clauses.
    #[must_use]
    pub fn decide(&self, problem: Problem, deadline: Deadline) -> Agreed {
        let outputs = self.network.output_size() / 2;
        let Ok(at_start) = evaluate(self.network, &problem.start) else { return Agreed::Open };
        let Some(class) = (0..outputs).max_by(|&a, &b| at_start[a].total_cmp(&at_start[b])) else { return Agreed::Open };
        let differ = |point: &[f64]| {
            let at = BoxRegion::new(point.to_vec(), point.to_vec()).ok()?;
            match classes(self.both, &at) {
                Ok([Some(first), Some(second)]) if first != second => Some(point.to_vec()),
                _ => None,
            }
        };
        let mut start = problem.start.clone();
        problem.lattice.snap(&mut start);
        if let Some(point) = differ(&start) {
            return Agreed::Differs(point);
        }
        let problem = Problem { clauses: vec![agreement(outputs, class)], ..problem };
        if self.refuter.bound(&problem.region.clone().into(), &problem.clauses).is_ok_and(|bounded| bounded.refuted) {
            return Agreed::Class { class, tree: Proof::leaf(), hints: Hints::default() };
        }
        let attack = |deadline| self.attack.run(&problem, EFFORT, self.seed, deadline, differ);
        if let Some(point) = attack(deadline.share(0.2)) {
            return Agreed::Differs(point);
        }
        let parts = Parts {
            problem: &problem,
            refuter: self.refuter,
            attack: self.attack,
            accept: &differ,
            deadline,
            seed: self.seed,
            room: &AtomicUsize::new(MOST_NUMBERS),
            checking: &AtomicU64::new(0),
        };
        match parts.decide(&|| attack(deadline.share(0.2))) {
            (Branched::Refuted(tree), hints) => Agreed::Class { class, tree, hints: hints.unwrap_or_default() },
            (Branched::Unsafe(point), _) => Agreed::Differs(point),
            (Branched::Open, _) => Agreed::Open,
        }
    }
}

/// Numbers that the proof of one case may put into a certificate.
const MOST_NUMBERS: usize = 1 << 18;
