//! Robustness over a data set: every sample is attacked, then bounded, in parallel; what is left open is tried with Lipschitz bounds, then
//! split into parts, sample by sample.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::RobustnessError;
use super::attack::{Attack, Effort};
use super::parts::{MOST_POSITIONS, Parts};
use super::problem::{Ball, Lattice, Problem};
use super::proof::Branched;
use crate::deadline::Deadline;
use crate::kernel::lipschitz::Margins;
use crate::kernel::model::ir::{Network, evaluate};
use crate::kernel::proof::{Kept, LipschitzClaim, Norm, Perturbation, Semantics};
use crate::kernel::read::data::Dataset;
use crate::kernel::read::vnnlib::Clause;
use crate::kernel::region::bounds::{Hints, Propagator};
use crate::kernel::region::{Keeping, Method, Neighbourhood, Neighbourhoods, Refuter, RegionRefusal, prove_lost};
use crate::pass::bounds::Wide;
use crate::pass::lipschitz::{LipschitzOptions, Question, certify};
use crate::search::branch::Proof;

/// What was found about one sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum SampleOutcome {
    /// What is to be kept, every perturbation keeps.
    Robust {
        method: Method,
    },
    /// A perturbation does not, or none is needed.
    Falsified {
        misclassified: bool,
        point: Vec<f64>,
    },
    Unknown,
}

#[derive(Clone, Copy, Debug)]
pub struct DatasetOptions {
    pub semantics: Semantics,
    /// For all samples together.
    pub timeout: Option<Duration>,
    /// What splitting one sample may take at most; its share of the time in any case.
    pub patience: Option<Duration>,
    /// Bytes that a program for Lipschitz bounds may take.
    pub memory: u64,
    pub seed: u64,
}

/// Most that is spent on Lipschitz bounds.
const MARGINS: Duration = Duration::from_secs(60);

/// Before bounds.
const GLANCE: Effort = Effort { restarts: 2, steps: 10, targets: 2 };
/// Where bounds do not suffice.
const SEARCH: Effort = Effort { restarts: 6, steps: 40, targets: 9 };

/// What the checker needs for samples that plain bounds do not prove.
#[derive(Clone, Debug, Default)]
pub struct RobustnessProofs {
    /// Lipschitz bounds, where they decided any sample.
    pub margins: Option<LipschitzClaim>,
    /// Samples with the trees of their splits.
    pub trees: Vec<(usize, Proof)>,
    /// Samples with slopes for their bounds.
    pub slopes: Vec<(usize, Hints)>,
}

/// Decides the given samples and tells of each as it is done; what is out of time is not told of. What attacks and bounds
/// leave open is tried with Lipschitz bounds of the differences of outputs, then, for ℓ∞, split into parts.
///
/// # Errors
/// When the network has no bounds, or data and network do not fit.
pub fn verify_dataset(
    network: &Network,
    data: &Dataset,
    labels: &[u32],
    (perturbation, kept): (&Perturbation, &Kept),
    samples: &[usize],
    options: &DatasetOptions,
    told: &(dyn Fn(usize, &SampleOutcome) + Sync),
) -> Result<RobustnessProofs, RobustnessError> {
    let shape = &network.node(network.input()).shape;
    let deadline = Deadline::after(options.timeout);
    let run = Run {
        network,
        neighbourhoods: Neighbourhoods::new(perturbation, shape, options.semantics)?,
        keeping: Keeping::new(kept, network.output_size())?,
        refuter: Refuter::with_vectors(network, options.semantics, Wide::until(deadline))?,
        propagator: Propagator::new(network, options.semantics)?,
        attack: Attack::new(network).ok_or(RobustnessError::Evaluation)?,
        deadline,
        seed: options.seed,
        // Half of a bundle; points have a quarter.
        room: AtomicUsize::new(MOST_POSITIONS),
    };
    let open = |&sample: &usize| {
        if run.late() {
            return None;
        }
        match run.sample(&data.input(sample), labels[sample] as usize) {
            Ok(SampleOutcome::Unknown) => Some(Ok(sample)),
            Ok(outcome) => {
                told(sample, &outcome);
                None
            }
            Err(error) => Some(Err(error)),
        }
    };
    let open: Vec<usize> = samples.par_iter().filter_map(open).collect::<Result<_, _>>()?;
    let mut decided = false;
    // Lipschitz bounds are proved for real arithmetic alone.
    let claim = if open.is_empty() || options.semantics != Semantics::Real { None } else { run.margins(options) };
    let margins = claim.as_ref().map(Margins::stated);
    let mut proofs = RobustnessProofs::default();
    let mut left = Vec::new();
    for sample in open {
        let robust = margins.as_ref().is_some_and(|margins| {
            let (input, label) = (data.input(sample), labels[sample] as usize);
            run.neighbourhoods.of(&input).is_ok_and(|neighbourhood| {
                run.keeping.is_within(margins, &run.propagator, &run.neighbourhoods, (&input, &neighbourhood), label)
            })
        });
        decided |= robust;
        if robust {
            told(sample, &SampleOutcome::Robust { method: Method::Lipschitz });
        } else {
            left.push(sample);
        }
    }
    proofs.margins = claim.filter(|_| decided);
    // What a checker takes for the parts of the samples that are done, about: it has to be done in time.
    let mut checking = Duration::ZERO;
    for (position, &sample) in left.iter().enumerate() {
        let share = deadline.sooner(checking).share(1.0 / (left.len() - position) as f64);
        let until = share.or_earlier(Deadline::after(options.patience));
        let spent = AtomicU64::new(0);
        let branched = run.split(&data.input(sample), labels[sample] as usize, until, &spent)?;
        checking = checking.saturating_add(Duration::from_nanos(spent.into_inner()));
        let outcome = match branched {
            Branched::Refuted((tree, slopes)) => {
                proofs.slopes.extend(slopes.map(|slopes| (sample, slopes)));
                proofs.trees.push((sample, tree));
                SampleOutcome::Robust { method: Method::Parts }
            }
            Branched::Unsafe(found) => found,
            Branched::Open => SampleOutcome::Unknown,
        };
        // What ran into the deadline may be decided another time.
        if outcome != SampleOutcome::Unknown || !run.late() {
            told(sample, &outcome);
        }
    }
    Ok(proofs)
}

struct Run<'a> {
    network: &'a Network,
    neighbourhoods: Neighbourhoods,
    keeping: Keeping,
    refuter: Refuter<'a, Wide>,
    propagator: Propagator<'a>,
    attack: Attack<'a>,
    deadline: Deadline,
    seed: u64,
    /// Numbers that leaves and slopes may still put into a certificate.
    room: AtomicUsize,
}

impl Run<'_> {
    fn late(&self) -> bool {
        self.deadline.has_passed()
    }

    /// Lipschitz bounds of the outputs, with those of all their differences where classes are compared; nothing, where there are none.
    fn margins(&self, options: &DatasetOptions) -> Option<LipschitzClaim> {
        let left = self.deadline.remaining();
        let limit = left.map_or(MARGINS, |left| left.min(MARGINS));
        let options =
            LipschitzOptions { timeout: Some(limit), memory: options.memory, seed: options.seed, ..LipschitzOptions::default() };
        let margins = matches!(self.keeping, Keeping::Class(_));
        let question = Question { margins, ..Question::global(self.neighbourhoods.norm()) };
        certify(self.network, &question, &options, &mut |_| ()).ok().map(|outcome| outcome.claim)
    }

    /// Tries to close a sample that plain bounds leave open, by better slopes and by parts of its box, and adds to `checking` what
    /// a checker takes for it, in nanoseconds. Balls are not split.
    fn split(
        &self,
        sample: &[f64],
        label: usize,
        deadline: Deadline,
        checking: &AtomicU64,
    ) -> Result<Branched<SampleOutcome, (Proof, Option<Hints>)>, RobustnessError> {
        if self.neighbourhoods.norm() != Norm::Linf || deadline.has_passed() {
            return Ok(Branched::Open);
        }
        let neighbourhood = self.neighbourhoods.of(sample)?;
        let Ok(lost) = self.lost(sample, label) else { return Ok(Branched::Open) };
        let problem = self.problem(&neighbourhood, lost);
        let accept = |point: &[f64]| {
            let lost = problem.clauses.first()?;
            prove_lost(&self.propagator, &self.neighbourhoods, sample, lost, point).ok()?;
            Some(SampleOutcome::Falsified { misclassified: self.is_wrong(&problem), point: point.to_vec() })
        };
        let parts = Parts {
            problem: &problem,
            refuter: &self.refuter,
            attack: &self.attack,
            accept: &accept,
            deadline,
            seed: self.seed,
            room: &self.room,
            checking,
        };
        Ok(match parts.decide(&|| None) {
            (Branched::Refuted(tree), slopes) => Branched::Refuted((tree, slopes)),
            (Branched::Unsafe(found), _) => Branched::Unsafe(found),
            (Branched::Open, _) => Branched::Open,
        })
    }

    fn problem(&self, neighbourhood: &Neighbourhood, lost: Arc<Clause>) -> Problem {
        let ball = (self.neighbourhoods.norm() == Norm::L2).then(|| {
            let centre = neighbourhood.centre.clone();
            Ball { centre, deviations: self.neighbourhoods.deviations(), radius: self.neighbourhoods.epsilon() }
        });
        Problem {
            region: neighbourhood.region.bounds().clone(),
            clauses: vec![lost],
            lattice: Lattice::new(&neighbourhood.input_box),
            start: neighbourhood.centre.clone(),
            ball,
        }
    }

    fn sample(&self, sample: &[f64], label: usize) -> Result<SampleOutcome, RobustnessError> {
        let neighbourhood = self.neighbourhoods.of(sample)?;
        // Without what the sample itself gives, nothing is known.
        let Ok(lost) = self.lost(sample, label) else { return Ok(SampleOutcome::Unknown) };
        let problem = self.problem(&neighbourhood, lost);
        if let Some(found) = self.falsify(&problem, sample, GLANCE) {
            return Ok(found);
        }
        if let Ok(bounded) = self.refuter.bound(&neighbourhood.region, &problem.clauses)
            && bounded.refuted
        {
            return Ok(SampleOutcome::Robust { method: bounded.method });
        }
        Ok(self.falsify(&problem, sample, SEARCH).unwrap_or(SampleOutcome::Unknown))
    }

    fn lost(&self, sample: &[f64], label: usize) -> Result<Arc<Clause>, RegionRefusal> {
        self.keeping.lost(&self.propagator, &self.neighbourhoods, sample, label)
    }

    fn falsify(&self, problem: &Problem, sample: &[f64], effort: Effort) -> Option<SampleOutcome> {
        let accept = |point: &[f64]| {
            let lost = problem.clauses.first()?;
            prove_lost(&self.propagator, &self.neighbourhoods, sample, lost, point).ok().map(|()| point.to_vec())
        };
        let point = self.attack.run(problem, effort, self.seed, self.deadline, accept)?;
        Some(SampleOutcome::Falsified { misclassified: self.is_wrong(problem), point })
    }

    /// Whether the sample itself is given another class.
    fn is_wrong(&self, problem: &Problem) -> bool {
        if matches!(self.keeping, Keeping::MaxChange(..)) {
            return false;
        }
        let mut centre = problem.start.clone();
        problem.lattice.snap(&mut centre);
        let outputs = evaluate(self.network, &centre).unwrap_or_default();
        let outputs: Vec<(f64, f64)> = outputs.into_iter().map(|y| (y, y)).collect();
        problem
            .clauses
            .iter()
            .all(|clause| clause.alternatives.iter().any(|atoms| atoms.iter().all(|atom| atom.surely_holds(&[], &outputs))))
    }
}
