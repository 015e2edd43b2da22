//! Robustness over a data set: every sample is attacked, then bounded, in parallel.

use std::sync::Arc;
use std::time::Duration;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::RobustnessError;
use super::attack::{Attack, Effort};
use super::problem::{Ball, Lattice, Problem};
use crate::deadline::Deadline;
use crate::kernel::lipschitz::Margins;
use crate::kernel::model::ir::{Network, evaluate};
use crate::kernel::proof::{Kept, LipschitzClaim, Norm, Perturbation, Semantics};
use crate::kernel::read::data::Dataset;
use crate::kernel::read::vnnlib::Clause;
use crate::kernel::region::bounds::Propagator;
use crate::kernel::region::{Keeping, Method, Neighbourhoods, Refuter, RegionRefusal, prove_lost};
use crate::pass::bounds::Wide;
use crate::pass::lipschitz::{LipschitzOptions, Question, certify};

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

/// Decides the given samples and tells of each as it is done; what is out of time is not told of. What attacks and bounds
/// leave open is tried with Lipschitz bounds of the differences of outputs, which are handed back where they decided any.
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
) -> Result<Option<LipschitzClaim>, RobustnessError> {
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
    for sample in open {
        let robust = margins.as_ref().is_some_and(|margins| {
            let (input, label) = (data.input(sample), labels[sample] as usize);
            run.neighbourhoods.of(&input).is_ok_and(|neighbourhood| {
                run.keeping.is_within(margins, &run.propagator, &run.neighbourhoods, (&input, &neighbourhood), label)
            })
        });
        decided |= robust;
        // What ran into the deadline may be decided another time.
        if robust {
            told(sample, &SampleOutcome::Robust { method: Method::Lipschitz });
        } else if !run.late() {
            told(sample, &SampleOutcome::Unknown);
        }
    }
    Ok(claim.filter(|_| decided))
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

    fn sample(&self, sample: &[f64], label: usize) -> Result<SampleOutcome, RobustnessError> {
        let neighbourhood = self.neighbourhoods.of(sample)?;
        let ball = (self.neighbourhoods.norm() == Norm::L2).then(|| {
            let centre = neighbourhood.centre.clone();
            Ball { centre, deviations: self.neighbourhoods.deviations(), radius: self.neighbourhoods.epsilon() }
        });
        // Without what the sample itself gives, nothing is known.
        let Ok(lost) = self.lost(sample, label) else { return Ok(SampleOutcome::Unknown) };
        let problem = Problem {
            region: neighbourhood.region.bounds().clone(),
            clauses: vec![lost],
            lattice: Lattice::new(&neighbourhood.input_box),
            start: neighbourhood.centre.clone(),
            ball,
        };
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

    /// Is the sample itself given another class?
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
