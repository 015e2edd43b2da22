//! The question which samples keep their class, or what else is asked.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::answer::{Answer, Outcome};
use super::error::QueryError;
use super::figures::{Figures, RobustnessFigures};
use super::journal::Journal;
use super::limits::{Limits, Watch};
use super::perturbed::{Prepared, clean_accuracy, identities};
use super::question::RobustnessQuery;
use super::specification::{case_slopes, splits};
use super::subjects::Subjects;
use crate::kernel::proof::{Assurance, Claim, ClaimKind, Domain, Kept, RobustnessClaim, RobustnessWitness, Vector, digest_of};
use crate::kernel::read::data::Dataset;
use crate::kernel::region::Keeping;
use crate::pass::robustness::{DatasetOptions, RobustnessProofs, SampleOutcome, verify_dataset};

/// Witnesses of falsified samples that a certificate holds, in numbers: a quarter of what a bundle may have.
const MOST_WITNESS_VALUES: usize = 1 << 21;

/// What splitting one sample may take where no time was asked for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers the question; `timed` says whether the caller named the limit of time, which is then used as far as it is needed.
pub fn answer(
    subjects: &Subjects,
    query: &RobustnessQuery,
    limits: &Limits,
    timed: bool,
    watch: &dyn Watch,
) -> Result<Answer, QueryError> {
    let start = Instant::now();
    let network = &subjects.model.network;
    let (perturbation, semantics) = (&query.perturbation, query.semantics);
    let Prepared { data, labels, mut notes } = prepare(subjects, query)?;
    let count = labels.len();

    let mut journal = Journal::open(limits.journal.as_deref(), &of(subjects, &data, query, limits.seed))?;
    let left: Vec<usize> = (0..count).filter(|sample| !journal.finished.contains_key(sample)).collect();
    if left.len() < count {
        notes.push(format!("{} samples were finished before", count - left.len()));
    }
    let patience = (!timed).then_some(PATIENCE);
    let options = DatasetOptions { semantics, timeout: limits.time, patience, memory: limits.memory, seed: limits.seed };
    let shared = Mutex::new(&mut journal);
    let told = |sample: usize, outcome: &SampleOutcome| {
        // A thread that panicked ends the program; what it held is whole.
        let mut journal = shared.lock().unwrap_or_else(PoisonError::into_inner);
        journal.add(sample, outcome);
        watch.finished(journal.finished.len(), count);
    };
    let proofs = verify_dataset(network, &data, &labels, (perturbation, &query.kept), &left, &options, &told)?;
    // What was found is told even where it could not be kept.
    let failures = journal.problem().into_iter().collect();

    let outcomes: Vec<SampleOutcome> =
        (0..count).map(|sample| journal.finished.remove(&sample).unwrap_or(SampleOutcome::Unknown)).collect();
    let threshold = match Keeping::new(&query.kept, network.output_size())? {
        Keeping::Threshold(threshold) => Some(threshold.nearest),
        Keeping::Class(_) | Keeping::MaxChange(..) => None,
    };
    let labels = query.kept.needs_labels().then_some(&labels[..]);
    let clean =
        labels.map(|labels| clean_accuracy(subjects, &data, perturbation, (labels, threshold), &mut notes)).transpose()?;
    let claim = claim(&data, query, &outcomes, network.input_size(), proofs);
    let figures = RobustnessFigures::new(&claim, semantics, &outcomes, labels, clean, start.elapsed().as_secs_f64());
    let any = |wanted: fn(&SampleOutcome) -> bool| outcomes.iter().any(wanted);
    let outcome = if any(|outcome| matches!(outcome, SampleOutcome::Falsified { .. })) {
        Outcome::Violated
    } else if any(|outcome| *outcome == SampleOutcome::Unknown) {
        Outcome::Inconclusive
    } else {
        Outcome::Established
    };
    let claim = Claim {
        id: "robustness".to_owned(),
        assurance: Assurance::Proved,
        semantics,
        domain: Domain::Samples,
        vacuous: false,
        kind: ClaimKind::Robustness(claim),
    };
    let engine = "attacks, intervals, backward bounds, Lipschitz margins, branch and bound";
    let files = data.files().iter().map(|(path, _)| path.clone()).collect();
    Ok(Answer { claims: vec![claim], notes, failures, files, ..Answer::new(Figures::Robustness(figures), outcome, engine) })
}

/// # Errors
/// What does not fit the model.
pub fn prepare(subjects: &Subjects, query: &RobustnessQuery) -> Result<Prepared, QueryError> {
    let outputs = subjects.model.network.output_size();
    match &query.kept {
        Kept::Class if outputs < 2 => return Err(QueryError::OneOutput),
        Kept::Threshold(_) if outputs != 1 => return Err(QueryError::NotOneOutput { outputs }),
        _ => {}
    }
    let keeping = Keeping::new(&query.kept, outputs)?;
    Prepared::new(subjects, &query.samples, &query.perturbation, |data| keeping.labels(data))
}

fn claim(
    data: &Dataset,
    query: &RobustnessQuery,
    outcomes: &[SampleOutcome],
    inputs: usize,
    proofs: RobustnessProofs,
) -> RobustnessClaim {
    let robust =
        |(sample, outcome): (usize, &SampleOutcome)| matches!(outcome, SampleOutcome::Robust { .. }).then_some(sample as u32);
    let mut falsified = Vec::new();
    let mut points = Vec::new();
    for (sample, outcome) in outcomes.iter().enumerate() {
        if let SampleOutcome::Falsified { point, .. } = outcome
            && points.len() + inputs <= MOST_WITNESS_VALUES
        {
            falsified.push(sample as u32);
            points.extend_from_slice(point);
        }
    }
    RobustnessClaim {
        data: identities(data),
        perturbation: query.perturbation.clone(),
        kept: query.kept.clone(),
        samples: outcomes.len() as u32,
        available: u32::try_from(data.len()).ok(),
        robust: outcomes.iter().enumerate().filter_map(robust).collect(),
        falsified,
        witness: RobustnessWitness {
            points: Vector::inline(&points),
            margins: proofs.margins.map(Box::new),
            splits: proofs.trees.iter().filter_map(|(sample, proof)| splits(*sample, proof)).collect(),
            slopes: proofs.slopes.iter().map(|(sample, hints)| case_slopes(*sample, hints)).collect(),
        },
    }
}

/// What finished samples belong to: the model, the data, the perturbation, what is kept, the arithmetic, the seed, this version.
fn of(subjects: &Subjects, data: &Dataset, query: &RobustnessQuery, seed: u64) -> String {
    let perturbation = serde_json::to_string(&(&query.perturbation, &query.kept)).unwrap_or_default();
    let version = env!("CARGO_PKG_VERSION");
    let (model, data, semantics) = (subjects.model.whole_digest(), data.digest(), query.semantics);
    digest_of(format!("{version}\n{model}\n{data}\n{perturbation}\n{semantics:?}\n{seed}").as_bytes())
}
