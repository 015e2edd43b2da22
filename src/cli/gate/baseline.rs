//! The certificate that regressions are measured against: checked where its model is at hand, and else at least whole, possible
//! and no file that the gate writes.

use std::path::Path;

use super::decision::{Given, Stop};
use super::repository::{Kept, Repository, stopped};
use super::shown;
use crate::codes::Coded;
use crate::files::Identity;
use crate::kernel::check::{Refusal, check_claim, check_identity, identity};
use crate::kernel::model::onnx::Model;
use crate::kernel::proof::{Bundle, Certificate, Claim, ClaimKind, Evidence, Number};
use crate::policy::{Limit, ModelPolicy, Requirement, Status, Task, decisive, unlikely};

/// A baseline that may be measured against.
pub struct Baseline {
    pub certificate: Certificate,
    pub bundle: Bundle,
    /// Its model, where the policy names it.
    model: Option<Model>,
}

impl Baseline {
    /// Reads the baseline of a model, which must not be anything that the gate writes.
    pub fn read(repository: &Repository, path: &Path, policy: &ModelPolicy) -> Result<Self, Stop> {
        let name = shown(&repository.file.folder().join(path));
        let place = repository.tree.find(path).map_err(|error| stopped(&error))?;
        if in_store(repository, &place)? {
            return Err(unusable(format!("the baseline `{name}` lies in the folder of certificates, where the gate writes")));
        }
        let (certificate, bundle) = match repository.certificate(path).map_err(|error| stopped(&error))? {
            Kept::Nothing => return Err(unusable(format!("the baseline `{name}` is missing"))),
            Kept::Damaged { reason, code } => {
                return Err(Stop { status: Status::Refused, detail: format!("the baseline: {reason}"), code: Some(code) });
            }
            Kept::Whole(whole) => *whole,
        };
        // Of its own model: digest, version and names of claims.
        check_identity(&certificate, &bundle, &certificate.model).map_err(|refusal| refused(&name, &refusal))?;
        if let Some((claim, fault)) = unlikely(&certificate, &bundle) {
            let detail = format!("the baseline `{name}` cannot be right: `{claim}`: {fault}");
            return Err(Stop { status: Status::Refused, detail, code: Some("NV513") });
        }
        let model = policy.baseline_model.as_deref().map(|path| repository.model(path)).transpose()?;
        if let Some(model) = &model {
            check_identity(&certificate, &bundle, &identity(model)).map_err(|refusal| refused(&name, &refusal))?;
        }
        Ok(Self { certificate, bundle, model })
    }

    /// The limit of a requirement with the baseline's figure in it.
    pub fn resolved(&self, task: &Task, requirement: &Requirement, model: &Model, given: &Given) -> Result<Limit, Stop> {
        let answers = |claim: &&Claim| task.query.is_answered_by(claim, &self.bundle, &given.named);
        let Some(claim) = self.certificate.claims.iter().find(answers) else {
            return Err(unusable("the baseline does not make this claim".to_owned()));
        };
        self.check(claim, model, given)?;
        if claim.assurance < requirement.assurance {
            let word = crate::report::audit::assurance_word;
            return Err(unusable(format!(
                "the baseline's claim is {}, and the rule asks for {}",
                word(claim.assurance),
                word(requirement.assurance)
            )));
        }
        let figure = decisive(&claim.kind).reading.and_then(|reading| reading.number()).filter(|value| value.is_finite());
        match requirement.limit.resolved(figure) {
            Some(Limit::AtMost(limit)) if !limit.is_finite() => Err(unusable("the baseline's figure is too large".to_owned())),
            Some(limit) => Ok(limit),
            None => Err(unusable("the baseline does not make this claim".to_owned())),
        }
    }

    /// Checks a claim of the baseline, where its model is at hand: as `baseline-model`, or because it did not change.
    fn check(&self, claim: &Claim, model: &Model, given: &Given) -> Result<(), Stop> {
        let same = |model: &&Model| identity(model) == self.certificate.model;
        let Some(model) = self.model.as_ref().or(Some(model)).filter(same) else { return Ok(()) };
        let evidence = Evidence { network: &model.network, tensors: &model.tensors, bundle: &self.bundle, files: &given.files };
        match check_claim(claim, &evidence) {
            // Limits are relative to it, so it must not state more than what its witness proves.
            Ok(_) if tightened(claim).is_some_and(|less| check_claim(&less, &evidence).is_ok()) => Err(unusable(format!(
                "the baseline's claim `{}` states a looser bound than its witness proves; make the baseline again",
                claim.id.escape_debug()
            ))),
            Ok(_) => Ok(()),
            // Files that the rule does not name either.
            Err(Refusal::Claim { reason, .. }) if reason.is_missing_file() => Ok(()),
            Err(refusal) => Err(refused("", &refusal)),
        }
    }
}

/// The share of its bound by which a claim may state more than is proved: rounding.
const SLACK: f64 = 1e-4;

/// The claim with an upper bound that is smaller by [`SLACK`]; nothing, where it states no upper bound that regressions are
/// measured against.
fn tightened(claim: &Claim) -> Option<Claim> {
    let mut less = claim.clone();
    let bound = match &mut less.kind {
        ClaimKind::Lipschitz(claim) => &mut claim.bound,
        ClaimKind::HessianTrace(claim) if claim.estimate.is_none() => &mut claim.trace.upper,
        _ => return None,
    };
    *bound = Number::upper(bound.value() * (1.0 - SLACK));
    (bound.value() > 0.0).then_some(less)
}

/// Whether a file is one of the folder of certificates, by whatever way it is reached.
fn in_store(repository: &Repository, place: &Path) -> Result<bool, Stop> {
    let store = repository.tree.directory(repository.store()).map_err(|error| stopped(&error))?;
    let Ok(folder) = Identity::of(&store) else { return Ok(false) };
    let above = place.canonicalize().unwrap_or_else(|_| place.to_owned());
    // Where certificates lie in the policy's folder itself, the folders in it are others.
    let own = Identity::of(repository.file.folder()).is_ok_and(|own| own == folder);
    let levels = if own { 1 } else { usize::MAX };
    if above.ancestors().skip(1).take(levels).any(|above| Identity::of(above).is_ok_and(|above| above == folder)) {
        return Ok(true);
    }
    // Another name of a file that lies there; links are not written through.
    let Ok(own) = Identity::of(place) else { return Ok(false) };
    let entries = std::fs::read_dir(&store).into_iter().flatten().flatten();
    Ok(entries.into_iter().any(|entry| Identity::of_itself(&entry.path()).is_ok_and(|other| other == own)))
}

fn unusable(detail: String) -> Stop {
    Stop { status: Status::Error, detail, code: Some("NV404") }
}

fn refused(name: &str, refusal: &Refusal) -> Stop {
    let name = if name.is_empty() { String::new() } else { format!(" `{name}`") };
    let altered = matches!(refusal, Refusal::DigestMismatch | Refusal::BundleMismatch);
    let detail =
        if altered { format!("the baseline{name} was altered") } else { format!("the baseline{name} is refused: {refusal}") };
    Stop { status: Status::Refused, detail, code: Some(refusal.code()) }
}
