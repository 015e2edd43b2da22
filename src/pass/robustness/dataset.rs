//! Robustness over a data set: every sample is attacked, then bounded, in parallel.

use std::time::{Duration, Instant};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::attack::{Attack, Effort};
use super::problem::{Ball, Lattice, Problem};
use super::{RobustnessError, in_time};
use crate::bounds::Propagator;
use crate::certificate::{Norm, Perturbation, Semantics};
use crate::checker::{Method, Neighbourhoods, Refuter, misclassified, prove_misclassified};
use crate::data::Dataset;
use crate::ir::{Network, evaluate};

/// What was found about one sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum SampleOutcome {
    /// No perturbation changes the class.
    Robust {
        method: Method,
    },
    /// A perturbation does, or none is needed.
    Falsified {
        misclassified: bool,
        point: Vec<f64>,
    },
    Unknown,
}

#[derive(Clone, Copy, Debug)]
pub struct DatasetOptions {
    /// For all samples together.
    pub timeout: Option<Duration>,
    pub seed: u64,
}

/// Before bounds.
const GLANCE: Effort = Effort { restarts: 2, steps: 10, targets: 2 };
/// Where bounds do not suffice.
const SEARCH: Effort = Effort { restarts: 6, steps: 40, targets: 9 };

/// Decides the given samples and tells of each as it is done; what is out of time is not told of.
///
/// # Errors
/// When the network has no bounds, or data and network do not fit.
pub fn verify_dataset(
    network: &Network,
    data: &Dataset,
    labels: &[u32],
    perturbation: &Perturbation,
    samples: &[usize],
    options: &DatasetOptions,
    told: &(dyn Fn(usize, &SampleOutcome) + Sync),
) -> Result<(), RobustnessError> {
    let shape = &network.node(network.input()).shape;
    let run = Run {
        network,
        neighbourhoods: Neighbourhoods::new(perturbation, shape).map_err(|error| RobustnessError::Data(error.to_string()))?,
        refuter: Refuter::new(network, Semantics::Real)?,
        propagator: Propagator::new(network, Semantics::Real)?,
        attack: Attack::new(network).ok_or(RobustnessError::Evaluation)?,
        deadline: options.timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
        seed: options.seed,
    };
    samples.par_iter().try_for_each(|&sample| {
        if run.late() {
            return Ok(());
        }
        let outcome = run.sample(&data.input(sample), labels[sample] as usize)?;
        // What ran into the deadline may be decided another time.
        if outcome != SampleOutcome::Unknown || !run.late() {
            told(sample, &outcome);
        }
        Ok(())
    })
}

struct Run<'a> {
    network: &'a Network,
    neighbourhoods: Neighbourhoods,
    refuter: Refuter<'a>,
    propagator: Propagator<'a>,
    attack: Attack<'a>,
    deadline: Option<Instant>,
    seed: u64,
}

impl Run<'_> {
    fn late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    fn sample(&self, sample: &[f64], label: usize) -> Result<SampleOutcome, RobustnessError> {
        let data = |error: crate::checker::ClaimRefusal| RobustnessError::Data(error.to_string());
        let neighbourhood = self.neighbourhoods.of(sample).map_err(data)?;
        let ball = (self.neighbourhoods.norm() == Norm::L2).then(|| {
            let centre = neighbourhood.centre.clone();
            Ball { centre, deviations: self.neighbourhoods.deviations(), radius: self.neighbourhoods.epsilon() }
        });
        let problem = Problem {
            region: neighbourhood.region.bounds().clone(),
            clauses: vec![misclassified(self.network.output_size(), label)],
            lattice: Lattice::new(&neighbourhood.input_box),
            start: neighbourhood.centre.clone(),
            ball,
        };
        if let Some(found) = self.falsify(&problem, sample, label, GLANCE) {
            return Ok(found);
        }
        let bounded = if in_time(&self.refuter, self.deadline, 1.0) {
            self.refuter.bound(&neighbourhood.region, &problem.clauses)
        } else {
            self.refuter.bound_by_intervals(&neighbourhood.region, &problem.clauses)
        };
        if let Ok(bounded) = bounded
            && bounded.refuted
        {
            return Ok(SampleOutcome::Robust { method: bounded.method });
        }
        Ok(self.falsify(&problem, sample, label, SEARCH).unwrap_or(SampleOutcome::Unknown))
    }

    fn falsify(&self, problem: &Problem, sample: &[f64], label: usize, effort: Effort) -> Option<SampleOutcome> {
        let accept = |point: &[f64]| {
            prove_misclassified(&self.propagator, &self.neighbourhoods, sample, label, point).ok().map(|()| point.to_vec())
        };
        let point = self.attack.run(problem, effort, self.seed, self.deadline, accept)?;
        Some(SampleOutcome::Falsified { misclassified: self.is_wrong(problem, label), point })
    }

    /// Is the sample itself given another class?
    fn is_wrong(&self, problem: &Problem, label: usize) -> bool {
        let mut centre = problem.start.clone();
        problem.lattice.snap(&mut centre);
        let outputs = evaluate(self.network, &centre).unwrap_or_default();
        outputs.iter().enumerate().any(|(class, y)| class != label && outputs.get(label).is_some_and(|own| y >= own))
    }
}
