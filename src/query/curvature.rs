//! The questions about traces of curvature and the stability of SGD.

use std::time::Instant;

use super::answer::{Answer, Outcome};
use super::error::QueryError;
use super::figures::{Figures, HessianFigures};
use super::limits::{Limits, Watch};
use super::objective::Setting;
use super::question::{ObjectiveQuery, Sgd, StabilityQuery};
use super::subjects::Subjects;
use crate::deadline::Deadline;
use crate::kernel::curvature::MAX_ORDER;
use crate::kernel::proof::{Assurance, Claim, ClaimKind, CurvatureMatrix, Domain, LossName, Semantics};
use crate::pass::derivatives::{Objective, Precision, Real};
use crate::pass::hessian::{Analysis, HessianError, HessianOptions, Verdict, analyse, stability_claim, trace_claim};

pub fn answer(
    subjects: &Subjects,
    objective: &ObjectiveQuery,
    matrix: Option<CurvatureMatrix>,
    sgd: Option<Sgd>,
    limits: &Limits,
    watch: &dyn Watch,
) -> Result<Answer, QueryError> {
    let mut notes = Vec::new();
    let start = Instant::now();
    let setting = prepare(subjects, objective, sgd, &mut notes)?;
    let mut found = match objective.precision {
        Precision::Double => find::<f64>(&setting, matrix, sgd, limits, watch, start)?,
        Precision::Single => find::<f32>(&setting, matrix, sgd, limits, watch, start)?,
    };
    found.notes.splice(0..0, notes);
    Ok(found)
}

/// # Errors
/// What does not fit the model or the data.
pub fn prepare<'a>(
    subjects: &'a Subjects,
    objective: &ObjectiveQuery,
    sgd: Option<Sgd>,
    notes: &mut Vec<String>,
) -> Result<Setting<'a>, QueryError> {
    let setting = Setting::new(subjects, objective, notes)?;
    let (batch, samples) = (sgd.map_or(1, |sgd| sgd.batch_size as usize), setting.samples.count);
    if !(1..=samples).contains(&batch) {
        return Err(HessianError::Batch { batch, samples }.into());
    }
    Ok(setting)
}

/// Refuses a question about stability alone that no claim could answer, however long was searched.
///
/// # Errors
/// What does not fit the model or the data, a loss without a minimum, or more than the checker takes.
pub fn prepare_stability(subjects: &Subjects, query: &StabilityQuery) -> Result<(), QueryError> {
    if query.objective.loss == LossName::CrossEntropy {
        return Err(QueryError::NoMinimiser);
    }
    let setting = prepare(subjects, &query.objective, Some(query.sgd), &mut Vec::new())?;
    let network = &subjects.model.network;
    let outputs = network.node(setting.loss.output(network).0).size();
    let (samples, parameters) = (setting.samples.count, setting.identity.scope.map_or(0, |scope| scope.parameters));
    if samples.saturating_mul(outputs) > MAX_ORDER && parameters > MAX_ORDER as u64 {
        return Err(QueryError::TooLargeToProve { samples, outputs, parameters });
    }
    Ok(())
}

fn find<T: Real>(
    setting: &Setting,
    matrix: Option<CurvatureMatrix>,
    sgd: Option<Sgd>,
    limits: &Limits,
    watch: &dyn Watch,
    start: Instant,
) -> Result<Answer, QueryError> {
    let deadline = Deadline::after(limits.time);
    let memory = usize::try_from(limits.memory).unwrap_or(usize::MAX);
    let objective = Objective::<T>::new(&setting.circuit, setting.loss, &setting.samples, memory / 4)?;
    let options = HessianOptions {
        learning_rate: sgd.map(|sgd| sgd.learning_rate),
        batch: sgd.map(|sgd| sgd.batch_size as usize),
        memory,
        deadline,
        seed: limits.seed,
        ..HessianOptions::default()
    };
    let mut analysis = analyse(&objective, &setting.samples, &options, &mut |step| watch.step(step))?;
    watch.step("certificates");
    let (mut claims, mut certified, mut unclaimed) = (Vec::new(), true, Vec::new());
    if deadline.has_passed() {
        analysis.not_done.push("certificates".to_owned());
    } else {
        (claims, certified) = certify(setting, &analysis, matrix, limits.seed, deadline, &mut unclaimed);
    }
    // What no claim holds is not established.
    let cut_off = !analysis.not_done.is_empty();
    let outcome = match analysis.stability.as_ref().map(|stability| &stability.verdict) {
        _ if !certified || cut_off => Outcome::Inconclusive,
        None | Some(Verdict::Stable) => Outcome::Established,
        Some(Verdict::Unstable) => Outcome::Violated,
        Some(Verdict::Undecided | Verdict::NotApplicable(_)) => Outcome::Inconclusive,
    };
    let data = &setting.identity.data;
    let figures =
        HessianFigures::new(&analysis, &setting.circuit, setting.loss, setting.softmax, data, T::PRECISION, start.elapsed());
    let engine = format!("differentiation in {}", T::PRECISION.name());
    let files = setting.dataset.files().iter().map(|(path, _)| path.clone()).collect();
    let notes = unclaimed.clone();
    if let Some(Verdict::NotApplicable(reason)) = analysis.stability.as_ref().map(|stability| &stability.verdict) {
        unclaimed.push(format!("the theory of stability does not apply: {reason}"));
    }
    Ok(Answer { claims, notes, unclaimed, files, ..Answer::new(Figures::Hessian(Box::new(figures)), outcome, engine) })
}

/// Returns the claims that the checker will accept. What was asked for and that none holds is added to `notes`.
fn certify(
    setting: &Setting,
    analysis: &Analysis,
    matrix: Option<CurvatureMatrix>,
    seed: u64,
    deadline: Deadline,
    notes: &mut Vec<String>,
) -> (Vec<Claim>, bool) {
    let checked = setting.checked(|samples, outputs| samples * outputs);
    let (mut claims, mut certified) = (Vec::new(), true);
    let mut note = |what: &str, reason: &dyn std::fmt::Display| {
        certified = false;
        notes.push(format!("{what} is computed, not certified: {reason}"));
    };
    let claim = |id: &str, assurance, kind| Claim {
        id: id.to_owned(),
        assurance,
        semantics: Semantics::Real,
        domain: Domain::Data,
        vacuous: false,
        kind,
    };
    match trace_claim(analysis, &setting.identity, matrix, checked.as_ref().map_err(Clone::clone), seed) {
        Ok(found) => {
            let assurance = if found.estimate.is_some() { Assurance::Estimated } else { Assurance::Proved };
            claims.push(claim("hessian-trace", assurance, ClaimKind::HessianTrace(found)));
        }
        Err(reason) => note("the trace", &reason),
    }
    if let Some(stability) = &analysis.stability {
        let decided = matches!(stability.verdict, Verdict::Stable | Verdict::Unstable);
        match checked.and_then(|checked| stability_claim(analysis, &setting.identity, &checked, deadline)) {
            Ok(Some(found)) => claims.push(claim("stability", Assurance::Proved, ClaimKind::Stability(found))),
            Ok(None) if decided => note("the verdict on stability", &"no witness closes"),
            Err(reason) if decided => note("the verdict on stability", &reason),
            Ok(None) | Err(_) => {}
        }
    }
    (claims, certified)
}
