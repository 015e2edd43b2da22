//! The question how far the outputs of two networks are apart, and where both prefer one class.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use rayon::prelude::*;

use super::answer::{Answer, Outcome};
use super::error::QueryError;
use super::figures::{CaseFigures, DeviationFigures, Figures, OutputFigures};
use super::limits::{Limits, Watch};
use super::lipschitz::regions;
use super::perturbed::{Prepared, identities};
use super::question::{DeviationQuery, Inputs, Region};
use super::specification::{case_slopes, splits};
use super::subjects::Subjects;
use crate::deadline::Deadline;
use crate::kernel::model::compose::compose;
use crate::kernel::model::onnx::{Model, load};
use crate::kernel::proof::{
    self, Agreement, Around, Assurance, Claim, ClaimKind, DeviationClaim, Disagreement, Domain, Norm, Number, Second, Semantics,
    Vector, identity,
};
use crate::kernel::read::vnnlib::{Constant, InputBox};
use crate::kernel::region::bounds::{BoxRegion, Propagator};
use crate::kernel::region::{Neighbourhoods, Refuter};
use crate::pass::bounds::Wide;
use crate::pass::deviation::{Agreed, Attained, Bounds, Classes, Goal, Searcher, bounded, pairing};
use crate::pass::robustness::{Attack, Lattice, Problem};

/// Without a limit, bounds may exceed what is attained by so much of it.
const CLOSE: f64 = 0.05;
/// Of the time that is left, what the search for large deviations may take.
const ATTACK: f64 = 0.2;
/// Of what then is left, what bounds may take: about as much goes to the check of what they found.
const BOUNDS: f64 = 0.6;
/// The same where classes are compared after them.
const BOUNDS_BEFORE_CLASSES: f64 = 0.4;

/// What a question is about, read and compared with the model.
pub struct Opened {
    baseline: Arc<Model>,
    /// One problem without clauses for each case.
    cases: Vec<Problem>,
    domain: Domain,
    around: Option<Around>,
    limit: Option<Constant>,
    files: Vec<PathBuf>,
    notes: Vec<String>,
}

/// # Errors
/// A baseline that cannot be loaded or is another function, and inputs that do not fit.
pub fn open(subjects: &Subjects, query: &DeviationQuery) -> Result<Opened, QueryError> {
    let baseline = load(&query.baseline).map_err(|error| QueryError::Baseline { path: query.baseline.clone(), error })?;
    let network = &subjects.model.network;
    // What differs is told before anything else is looked at.
    compose(&baseline.network, network, &[]).map_err(|error| QueryError::Compose { path: query.baseline.clone(), error })?;
    if query.agreement && network.output_size() < 2 {
        return Err(QueryError::OneClass);
    }
    if let Some(least) = query.min_agreement.filter(|least| !(0.0..=1.0).contains(least)) {
        return Err(QueryError::Share { least });
    }
    let limit = match &query.max_deviation {
        None => None,
        Some(text) => {
            let read = Constant::parse_quotient(text).filter(|limit| limit.lower >= 0.0);
            Some(read.ok_or_else(|| QueryError::Limit { text: text.clone() })?)
        }
    };
    let mut notes = Vec::new();
    let (cases, domain, around, files) = match &query.inputs {
        Inputs::Region { region } => {
            if matches!(region, Region::Everywhere | Region::Around { .. }) {
                return Err(QueryError::NoRegion);
            }
            let found = regions(subjects, region, &mut notes)?.into_iter().find_map(|(_, region)| region);
            let region = found.ok_or(QueryError::NoRegion)?;
            let domain = Domain::Box { lower: Vector::inline(region.lower()), upper: Vector::inline(region.upper()) };
            let exact = |values: &[f64]| values.iter().map(|&value| Constant::exact(value)).collect();
            let input_box = InputBox { lower: exact(region.lower()), upper: exact(region.upper()) };
            // The file of a box does not stand in the claim: its numbers do.
            (vec![problem(region, &input_box, None)], domain, None, Vec::new())
        }
        Inputs::Samples { samples, perturbation } => {
            if perturbation.norm != Norm::Linf {
                return Err(QueryError::NotABoxAround);
            }
            let Prepared { data, labels, notes: found } =
                Prepared::new(subjects, samples, perturbation, |data| Ok(vec![0; data.len()]))?;
            notes.extend(found);
            let neighbourhoods = Neighbourhoods::new(perturbation, &subjects.model.input.shape, query.semantics)?;
            let case = |sample: usize| -> Result<Problem, QueryError> {
                let found = neighbourhoods.of(&data.input(sample))?;
                Ok(problem(found.region.bounds().clone(), &found.input_box, Some(found.centre)))
            };
            let cases = (0..labels.len()).map(case).collect::<Result<Vec<_>, _>>()?;
            let around = Around {
                data: identities(&data),
                perturbation: perturbation.clone(),
                samples: labels.len() as u32,
                available: data.len() as u32,
            };
            let files = data.files().iter().map(|(path, _)| path.clone()).collect();
            (cases, Domain::Samples, Some(around), files)
        }
    };
    Ok(Opened { baseline: Arc::new(baseline), cases, domain, around, limit, files, notes })
}

fn problem(region: BoxRegion, input_box: &InputBox, start: Option<Vec<f64>>) -> Problem {
    let start = start.unwrap_or_else(|| region.centre());
    Problem { lattice: Lattice::new(input_box), start, region, clauses: Vec::new(), ball: None }
}

/// What was found of one case.
struct Found {
    bounds: Option<Bounds>,
    attained: Vec<Option<Attained>>,
    agreed: Option<Agreed>,
}

pub fn answer(subjects: &Subjects, query: &DeviationQuery, limits: &Limits, watch: &dyn Watch) -> Result<Answer, QueryError> {
    let start = Instant::now();
    let deadline = Deadline::after(limits.time);
    let Opened { baseline, cases, domain, around, limit, files, mut notes } = open(subjects, query)?;
    let (first, second) = (&baseline.network, &subjects.model.network);
    let semantics = query.semantics;
    // What the second network rounds is not known from differences.
    let pairs = if semantics == Semantics::Real { pairing(first, second) } else { Vec::new() };
    let baseline_claim = Second { model: identity(&baseline), pairing: pairs };
    let composing = |error| QueryError::Compose { path: query.baseline.clone(), error };
    let composed = compose(first, second, &baseline_claim.pairs()).map_err(composing)?;
    let apart = compose(first, second, &[]).map_err(composing)?;
    let both = [Propagator::new(first, semantics)?, Propagator::new(second, semantics)?];
    let refuter = Refuter::with_vectors(&composed, semantics, Wide::until(deadline))?;
    let searcher = Searcher::new(&apart, &both).ok_or(QueryError::NoValues)?;
    let attack = Attack::new(&apart).ok_or(QueryError::NoValues)?;

    watch.step("looking for inputs where the outputs differ");
    let until = deadline.share(ATTACK);
    let attained: Vec<_> = cases
        .par_iter()
        .enumerate()
        .map(|(case, problem)| searcher.search(&problem.lattice, &problem.start, limits.seed ^ case as u64, until))
        .collect();
    watch.step("bounding how far the outputs are apart");
    let goal = limit.map_or(Goal::Close(CLOSE), |limit| Goal::Limit(limit.lower));
    let refuted = limit.is_some_and(|limit| attained.iter().flatten().flatten().any(|met| met.deviation > limit.upper));
    let finished = AtomicUsize::new(0);
    let until = deadline.share(if query.agreement { BOUNDS_BEFORE_CLASSES } else { BOUNDS });
    let of_case = |(problem, attained): (&Problem, Vec<Option<Attained>>)| {
        let values: Vec<f64> =
            attained.iter().map(|attained| attained.as_ref().map_or(0.0, |attained| attained.deviation.max(0.0))).collect();
        // Where the limit is exceeded, the question is answered; what is left is how far.
        let goal = if refuted { Goal::Close(CLOSE) } else { goal };
        let done = finished.load(Ordering::Relaxed);
        let share = until.share(rayon::current_num_threads() as f64 / (cases.len() - done.min(cases.len() - 1)) as f64);
        let bounds = bounded(&refuter, &problem.region, &values, goal, if refuted { share.share(0.1) } else { share });
        watch.finished(finished.fetch_add(1, Ordering::Relaxed) + 1, cases.len());
        Found { bounds, attained, agreed: None }
    };
    let mut found: Vec<Found> = cases.par_iter().zip(attained).map(of_case).collect();
    if query.agreement {
        watch.step("comparing classes");
        let classes = Classes { refuter: &refuter, network: &apart, attack: &attack, both: &both, seed: limits.seed };
        let finished = AtomicUsize::new(0);
        cases.par_iter().zip(&mut found).for_each(|(problem, found)| {
            let done = finished.fetch_add(1, Ordering::Relaxed);
            let share = deadline.share(BOUNDS * rayon::current_num_threads() as f64 / (cases.len() - done) as f64);
            found.agreed = Some(classes.decide(problem.clone(), share));
        });
    }
    let samples = around.as_ref().map(|around| around.samples);
    let epsilon = around.as_ref().map(|around| around.perturbation.epsilon.to_string());
    let paired = !baseline_claim.pairing.is_empty();
    let claim = claim(baseline_claim, around, &found, second.output_size());
    let figures = DeviationFigures {
        baseline: query.baseline.display().to_string(),
        baseline_digest: baseline.digest.clone(),
        semantics,
        paired,
        samples,
        epsilon,
        max_deviation: query.max_deviation.clone(),
        min_agreement: query.min_agreement,
        agreement: query.agreement,
        outputs: outputs(&found, second.output_size()),
        cases: found.iter().map(case_figures).collect(),
        parts: found.iter().filter_map(|found| found.bounds.as_ref()).map(|bounds| bounds.parts).sum(),
        seconds: start.elapsed().as_secs_f64(),
    };
    let outcome = outcome(&figures, query, limit, &found);
    let mut unclaimed = Vec::new();
    if claim.is_none() {
        unclaimed.push("how far the outputs are apart is not bounded on every case, so nothing is claimed".to_owned());
    }
    notes.extend(unclaimed.iter().cloned());
    let claims = claim.map(|claim| Claim {
        id: format!("deviation-{}", if claim.around.is_some() { "samples" } else { "box" }),
        assurance: Assurance::Proved,
        semantics,
        domain,
        vacuous: false,
        kind: ClaimKind::Deviation(claim),
    });
    let engine = "bounds of differences of paired nodes, gradients, splits of inputs";
    let models = vec![query.baseline.clone()];
    let figures = Figures::Deviation(Box::new(figures));
    Ok(Answer { claims: claims.into_iter().collect(), notes, unclaimed, files, models, ..Answer::new(figures, outcome, engine) })
}

/// The claim that was found; nothing, where some case has no bounds.
fn claim(baseline: Second, around: Option<Around>, found: &[Found], outputs: usize) -> Option<DeviationClaim> {
    let bounds: Vec<&Bounds> = found.iter().map(|found| found.bounds.as_ref()).collect::<Option<_>>()?;
    let most = |output: usize| bounds.iter().map(|bounds| bounds.most[output]).fold(0.0, f64::max);
    let best = |output: usize| {
        let all = found.iter().enumerate().filter_map(|(case, found)| Some((case, found.attained[output].as_ref()?)));
        all.max_by(|a, b| a.1.deviation.total_cmp(&b.1.deviation)).map(|(case, attained)| proof::Attained {
            case: case as u32,
            output: output as u32,
            deviation: Number::lower(attained.deviation),
            input: Vector::inline(&attained.input),
        })
    };
    let mut claim = DeviationClaim {
        baseline,
        around,
        bounds: (0..outputs).map(|output| Number::upper(most(output))).collect(),
        cases: Vector::inline(&bounds.iter().flat_map(|bounds| bounds.most.iter().copied()).collect::<Vec<f64>>()),
        attained: (0..outputs).filter_map(best).collect(),
        splits: bounds.iter().enumerate().filter_map(|(case, bounds)| splits(case, &bounds.tree)).collect(),
        agreeing: Vec::new(),
        disagreeing: Vec::new(),
        agreement_splits: Vec::new(),
        agreement_slopes: Vec::new(),
    };
    for (case, agreed) in found.iter().enumerate().filter_map(|(case, found)| Some((case, found.agreed.as_ref()?))) {
        match agreed {
            Agreed::Class { class, tree, hints } => {
                claim.agreeing.push(Agreement { case: case as u32, class: *class as u32 });
                claim.agreement_splits.extend(splits(case, tree));
                claim.agreement_slopes.extend((!hints.is_empty()).then(|| case_slopes(case, hints)));
            }
            Agreed::Differs(point) => {
                claim.disagreeing.push(Disagreement { case: case as u32, input: Vector::inline(point) });
            }
            Agreed::Open => {}
        }
    }
    Some(claim)
}

fn outputs(found: &[Found], count: usize) -> Vec<OutputFigures> {
    let of = |output: usize| {
        let most = found.iter().map(|found| found.bounds.as_ref().map(|bounds| bounds.most[output]));
        let proved = most.collect::<Option<Vec<f64>>>().map(|most| most.into_iter().fold(0.0, f64::max));
        let attained = found.iter().filter_map(|found| Some(found.attained[output].as_ref()?.deviation)).fold(f64::NAN, f64::max);
        OutputFigures {
            output,
            proved: proved.map(|proved| Number::upper(proved).decimal),
            attained: attained.is_finite().then(|| Number::lower(attained).decimal),
        }
    };
    (0..count).map(of).collect()
}

fn case_figures(found: &Found) -> CaseFigures {
    let attained = found.attained.iter().flatten().map(|attained| attained.deviation).fold(f64::NAN, f64::max);
    let agreement = found.agreed.as_ref().map(|agreed| match agreed {
        Agreed::Class { .. } => "same",
        Agreed::Differs(_) => "different",
        Agreed::Open => "open",
    });
    CaseFigures {
        proved: found.bounds.as_ref().map_or(f64::NAN, |bounds| bounds.most.iter().copied().fold(0.0, f64::max)).into(),
        attained: attained.into(),
        agreement: agreement.map(str::to_owned),
    }
}

/// How the question ends: numbers are what was asked for where nothing limits them.
fn outcome(figures: &DeviationFigures, query: &DeviationQuery, limit: Option<Constant>, found: &[Found]) -> Outcome {
    let mut outcome = Outcome::Established;
    if found.iter().any(|found| found.bounds.is_none()) {
        outcome = Outcome::Inconclusive;
    }
    if let Some(limit) = limit {
        let attained = found.iter().flat_map(|found| found.attained.iter().flatten());
        let within =
            |found: &Found| found.bounds.as_ref().is_some_and(|bounds| bounds.most.iter().all(|most| *most <= limit.lower));
        if attained.into_iter().any(|attained| attained.deviation > limit.upper) {
            outcome = outcome.worse(Outcome::Violated);
        } else if !found.iter().all(within) {
            outcome = outcome.worse(Outcome::Inconclusive);
        }
    }
    if let Some(least) = query.min_agreement {
        let share = |count: usize| count as f64 / found.len().max(1) as f64;
        if share(found.len() - figures.count("different")) < least {
            outcome = outcome.worse(Outcome::Violated);
        } else if share(figures.count("same")) < least {
            outcome = outcome.worse(Outcome::Inconclusive);
        }
    }
    outcome
}
