//! A VNN-LIB specification on a network: attacks and bounds, case by case, then branching while there is time.

use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;

use rayon::prelude::*;

use super::RobustnessError;
use super::attack::{self, Attack};
use super::float32::Deployed;
use super::parts::{MOST_POSITIONS, Parts};
use super::problem::Problem;
use super::proof::Branched;
use crate::deadline::Deadline;
use crate::kernel::model::ir::{Network, evaluate};
use crate::kernel::proof::Semantics;
use crate::kernel::read::vnnlib::{ElementType, Specification};
use crate::kernel::region::bounds::{Hints, Propagator};
use crate::kernel::region::{Refuter, prove_unsafe};
use crate::pass::bounds::Wide;
use crate::search::branch::Proof;

/// What a run may cost.
#[derive(Clone, Copy, Debug)]
pub struct SpecificationOptions {
    /// `None`: as the specification says.
    pub semantics: Option<Semantics>,
    pub timeout: Option<Duration>,
    pub seed: u64,
}

/// What was found; the checker decides.
#[derive(Clone, Debug)]
pub enum SpecificationVerdict {
    /// No input is unsafe (`unsat`).
    Holds {
        /// Per case the tree of splits; a single leaf where bounds suffice.
        trees: Vec<Proof>,
        /// Slopes for cases that the usual ones do not close.
        slopes: Vec<(usize, Hints)>,
    },
    /// An input is unsafe (`sat`).
    Violated(Counterexample),
    Unknown {
        /// Cases that are neither refuted nor known to be unsafe.
        open: usize,
        timed_out: bool,
    },
}

/// An unsafe input.
#[derive(Clone, Debug, PartialEq)]
pub struct Counterexample {
    pub case: usize,
    /// Float32 numbers wherever the box has some.
    pub point: Vec<f64>,
    /// What a float32 network computes there or, where that overflows, the outputs in real arithmetic, to nearest.
    pub outputs: Vec<f64>,
    /// Whether a float32 network overflows there.
    pub overflows: bool,
    /// Is it unsafe in float32 with any summation order too?
    pub float32: bool,
}

/// What is fixed for all cases.
struct Search<'a> {
    specification: &'a Specification,
    refuter: Refuter<'a, Wide>,
    attack: Attack<'a>,
    deployed: Deployed<'a>,
    real: Propagator<'a>,
    float32: Option<Propagator<'a>>,
    semantics: Semantics,
    deadline: Deadline,
    seed: u64,
    /// Numbers that leaves and slopes may still put into a certificate.
    room: AtomicUsize,
    /// What a checker takes for the leaves that are closed, about.
    checking: AtomicU64,
}

/// A first look at every case, before bounds.
const GLANCE: attack::Effort = attack::Effort { restarts: 2, steps: 3, targets: 3 };
/// For cases that bounds leave open, before they are split.
const SEARCH: attack::Effort = attack::Effort { restarts: 6, steps: 40, targets: 6 };
/// The same where few inputs vary: their boxes are attacked while they are split.
const SEARCH_BOX: attack::Effort = attack::Effort { restarts: 3, steps: 20, targets: 3 };
/// For cases that cannot be split.
const INSIST: attack::Effort = attack::Effort { restarts: 40, steps: 80, targets: 20 };

/// Of the time that is left, what an attack may take before a case is split.
const ATTACK: f64 = 0.15;

/// In which arithmetic a specification is meant.
#[must_use]
pub fn semantics(specification: &Specification) -> Semantics {
    match specification.element {
        ElementType::Real | ElementType::Float64 => Semantics::Real,
        ElementType::Float32 => Semantics::Float32,
    }
}

/// Tries to decide a specification. Its shapes must be the network's ([`Specification::check_network`]).
///
/// # Errors
/// When the network has no bounds, or the specification is about `float64` networks.
pub fn verify_specification(
    network: &Network,
    specification: &Specification,
    options: &SpecificationOptions,
    progress: &mut dyn FnMut(&str),
) -> Result<SpecificationVerdict, RobustnessError> {
    verify_composed(network, network, specification, options, progress)
}

/// The same for a network that computes two, given twice: as bounds are best of it, and as both are by themselves.
///
/// # Errors
/// As there.
pub fn verify_composed(
    bounded: &Network,
    network: &Network,
    specification: &Specification,
    options: &SpecificationOptions,
    progress: &mut dyn FnMut(&str),
) -> Result<SpecificationVerdict, RobustnessError> {
    if specification.element == ElementType::Float64 {
        return Err(RobustnessError::Float64);
    }
    if (specification.inputs(), specification.outputs()) != (network.input_size(), network.output_size()) {
        return Err(RobustnessError::Shape);
    }
    let deadline = Deadline::after(options.timeout);
    let semantics = match (specification.element, options.semantics) {
        (ElementType::Float32, Some(Semantics::Real)) => return Err(RobustnessError::Float32),
        (_, asked) => asked.unwrap_or_else(|| semantics(specification)),
    };
    let search = Search {
        specification,
        refuter: Refuter::with_vectors(bounded, semantics, Wide::until(deadline))?,
        attack: Attack::new(network).ok_or(RobustnessError::Evaluation)?,
        deployed: Deployed::new(network).map_err(|_| RobustnessError::Evaluation)?,
        real: Propagator::new(network, Semantics::Real)?,
        float32: Propagator::new(network, Semantics::Float32).ok(),
        semantics,
        deadline,
        seed: options.seed,
        // Three quarters of a bundle: the slopes of one case and the leaves beside them.
        room: AtomicUsize::new(MOST_POSITIONS / 2 * 3),
        checking: AtomicU64::new(0),
    };
    Ok(search.run(progress))
}

/// What became of one case at first.
enum Glance {
    Refuted,
    Unsafe(Counterexample),
    Open(Box<Problem>),
}

impl Search<'_> {
    fn run(&self, progress: &mut dyn FnMut(&str)) -> SpecificationVerdict {
        let cases = 0..self.specification.cases.len();
        progress("bounding every case");
        let glances: Vec<Glance> = cases.into_par_iter().map(|case| self.glance(case)).collect();
        let mut trees = vec![Proof::leaf(); glances.len()];
        let mut open = Vec::new();
        for (case, glance) in glances.into_iter().enumerate() {
            match glance {
                Glance::Refuted => {}
                Glance::Unsafe(found) => return SpecificationVerdict::Violated(found),
                Glance::Open(problem) => open.push((case, problem)),
            }
        }
        let mut left = Vec::new();
        let mut slopes = Vec::new();
        for (case, problem) in &open {
            progress(&format!("searching case {} of {}", case + 1, self.specification.cases.len()));
            let effort = if Parts::<Counterexample>::are_boxes(problem) { SEARCH_BOX } else { SEARCH };
            if let Some(found) = self.falsify(*case, problem, effort, self.share(ATTACK / open.len() as f64)) {
                return SpecificationVerdict::Violated(found);
            }
        }
        for (case, problem) in &open {
            if self.late() {
                left.push((*case, &**problem));
                continue;
            }
            progress(&format!("deciding case {} of {}", case + 1, self.specification.cases.len()));
            let (branched, hints) = self.decide(*case, problem);
            match branched {
                Branched::Refuted(proof) => {
                    trees[*case] = proof;
                    slopes.extend(hints.map(|hints| (*case, hints)));
                }
                Branched::Unsafe(found) => return SpecificationVerdict::Violated(found),
                Branched::Open => left.push((*case, &**problem)),
            }
        }
        if !left.is_empty() {
            progress("searching what is left");
            if let Some(found) = self.insist(&left) {
                return SpecificationVerdict::Violated(found);
            }
            return SpecificationVerdict::Unknown { open: left.len(), timed_out: self.late() };
        }
        SpecificationVerdict::Holds { trees, slopes }
    }

    /// The end of a share of the time that is left.
    fn share(&self, share: f64) -> Deadline {
        self.deadline.share(share)
    }

    fn late(&self) -> bool {
        self.deadline.has_passed()
    }

    fn glance(&self, case: usize) -> Glance {
        // A box that is none in `f64` is beyond its range: such files are refused when they are read.
        let Some(problem) = Problem::new(self.specification, case) else { return Glance::Refuted };
        if let Some(found) = self.falsify(case, &problem, GLANCE, self.deadline) {
            return Glance::Unsafe(found);
        }
        let region = problem.region.clone().into();
        match self.refuter.bound(&region, &problem.clauses) {
            Ok(bounded) if bounded.refuted => Glance::Refuted,
            _ => Glance::Open(Box::new(problem)),
        }
    }

    /// Attacks what can neither be refuted nor split further, again and again, as long as there is time; without a limit,
    /// once.
    fn insist(&self, left: &[(usize, &Problem)]) -> Option<Counterexample> {
        for round in 1.. {
            for (case, problem) in left {
                let seed = self.seed.wrapping_add(round);
                if let Some(found) = self.falsify_from(*case, problem, INSIST, seed, self.deadline) {
                    return Some(found);
                }
            }
            // A single point is what it is.
            let points = left.iter().all(|(_, problem)| problem.lattice.is_point());
            if points || self.late() || !self.deadline.is_limited() {
                break;
            }
        }
        None
    }

    /// Decides a case, with the slopes that its proof needs.
    fn decide(&self, case: usize, problem: &Problem) -> (Branched<Counterexample>, Option<Hints>) {
        let accept = |point: &[f64]| self.confirmed(case, point);
        let parts = Parts {
            problem,
            refuter: &self.refuter,
            attack: &self.attack,
            accept: &accept,
            deadline: self.deadline,
            seed: self.seed,
            room: &self.room,
            checking: &self.checking,
        };
        parts.decide(&|| self.falsify(case, problem, INSIST, self.share(ATTACK)))
    }

    /// Looks for an unsafe point; one that float32 rounding could save is kept only where no better one turns up.
    fn falsify(&self, case: usize, problem: &Problem, effort: attack::Effort, deadline: Deadline) -> Option<Counterexample> {
        self.falsify_from(case, problem, effort, self.seed, deadline)
    }

    fn falsify_from(
        &self,
        case: usize,
        problem: &Problem,
        effort: attack::Effort,
        seed: u64,
        deadline: Deadline,
    ) -> Option<Counterexample> {
        let mut fragile = None;
        let accept = |point: &[f64]| {
            let found = self.confirmed(case, point)?;
            if found.float32 {
                return Some(found);
            }
            fragile.get_or_insert(found);
            None
        };
        let firm = self.attack.run(problem, effort, seed, deadline, accept);
        firm.or(fragile)
    }

    /// Is a point unsafe in the arithmetic of the query, by enclosures, and in a float32 forward pass, exactly?
    fn confirmed(&self, case: usize, point: &[f64]) -> Option<Counterexample> {
        let single = point.iter().all(|&x| f64::from(x as f32) == x);
        let mut outputs: Vec<f64> = self.deployed.output(point).ok()?.into_iter().map(f64::from).collect();
        let overflows = !outputs.iter().all(|y| y.is_finite());
        if overflows {
            outputs = evaluate(self.real.network(), point).ok()?;
        }
        let exact = |&x: &f64| (x, x);
        let inputs: Vec<_> = point.iter().map(exact).collect();
        let computed: Vec<_> = outputs.iter().map(exact).collect();
        if !self.specification.surely_unsafe(case, &inputs, &computed) {
            return None;
        }
        let proved = |propagator: &Propagator| prove_unsafe(propagator, self.specification, case, point).is_ok();
        let float32 = single && self.float32.as_ref().is_some_and(proved);
        let meant = match self.semantics {
            Semantics::Real => proved(&self.real),
            Semantics::Float32 => float32,
        };
        meant.then(|| Counterexample { case, point: point.to_vec(), outputs, overflows, float32 })
    }
}
