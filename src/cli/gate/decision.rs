//! Rules of a policy decided on certificates that were checked: what the gate and a report with a policy share.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::{ExitStatus, Failure};
use super::baseline::Baseline;
use super::repository::{Repository, copies};
use crate::codes::Coded;
use crate::kernel::model::onnx::Model;
use crate::kernel::proof::{Assurance, Bundle, Certificate, Claim, Files, Number, Semantics};
use crate::kernel::read::data::Source;
use crate::kernel::read::vnnlib::{Specification, SpecificationError};
use crate::pass::robustness::semantics;
use crate::policy::{Decision, Established, Limit, ModelPolicy, PolicyFile, Requirement, Status, Task};
use crate::query::{Named, Query};
use crate::report::audit::{ModelSection, RuleOutcome, changes};
use crate::report::{CheckedClaim, CheckedFile};

/// A model and what its rules are measured against.
pub struct Subject<'a> {
    pub name: &'a str,
    pub policy: &'a ModelPolicy,
    pub path: PathBuf,
    pub model: &'a Arc<Model>,
    pub baseline: Option<&'a Result<Baseline, Stop>>,
}

/// Why there is no decision on a claim.
#[derive(Clone, Debug)]
pub struct Stop {
    pub status: Status,
    pub detail: String,
    pub code: Option<&'static str>,
}

/// The files of a task: for the checker, for a search, and what is known of them.
pub struct Given {
    pub files: Files,
    pub read: Vec<(PathBuf, Vec<u8>)>,
    pub named: Named,
    /// How many of the samples are copies of others, in words.
    pub copies: Option<String>,
}

impl Subject<'_> {
    /// The pin of the model as a rule of its own.
    pub fn pin(&self, file: &PolicyFile) -> Option<RuleOutcome> {
        let pin = self.policy.sha256.as_ref()?.get_ref();
        let digest = &self.model.whole_digest();
        let (status, code) = if pin == digest { (Status::Met, None) } else { (Status::Violated, Some("NV603")) };
        let detail = (status == Status::Violated).then(|| {
            let with = if self.model.external.is_empty() { "" } else { " with its external data" };
            format!("the model's SHA-256{with} is {digest}")
        });
        Some(RuleOutcome { value: Some(short(digest)), detail, ..pin_outcome(file, self.name, status, code) })
    }

    /// A baseline that cannot be used and that no rule tells of.
    pub fn idle_baseline(&self, file: &PolicyFile, tasks: &[Task]) -> Option<RuleOutcome> {
        let Some(Err(stop)) = self.baseline else { return None };
        let mut requirements = tasks.iter().flat_map(|task| &task.requirements);
        let told = requirements.any(|requirement| matches!(requirement.limit, Limit::Regression(_)));
        (!told).then(|| RuleOutcome {
            id: format!("{}.baseline", self.name),
            what: "the baseline".to_owned(),
            limit: "usable".to_owned(),
            detail: Some(stop.detail.clone()),
            ..pin_outcome(file, self.name, stop.status, stop.code)
        })
    }

    /// What changed since the baseline, where there is one.
    pub fn tell_changes<'c>(
        &self,
        section: &mut ModelSection,
        file: &PolicyFile,
        certificates: impl Iterator<Item = (&'c Certificate, &'c Bundle)>,
    ) {
        let Some(Ok(baseline)) = self.baseline else { return };
        section.baseline = self.policy.baseline.as_ref().map(|path| super::shown(&file.folder().join(path)));
        let old = (&baseline.certificate, &baseline.bundle);
        let changes = certificates.flat_map(|new| changes(old, new));
        // The baseline may make claims that no rule asks about.
        section.changes = changes.filter(|change| change.new.is_some()).collect();
    }
}

/// The pin of a model, without a value.
pub fn pin_outcome(file: &PolicyFile, model: &str, status: Status, code: Option<&'static str>) -> RuleOutcome {
    let pin = file.policy.models.get(model).and_then(|model| model.get_ref().sha256.as_ref());
    RuleOutcome {
        id: format!("{model}.sha256"),
        model: model.to_owned(),
        what: "digest of the model".to_owned(),
        statement: None,
        line: file.pins.get(model).copied().unwrap_or(1),
        limit: pin.map_or_else(String::new, |pin| short(pin.get_ref())),
        value: None,
        margin: None,
        room: None,
        status,
        assurance: None,
        detail: None,
        code: code.map(str::to_owned),
        certificate: None,
        claim: None,
        reused: false,
    }
}

/// Reads the files of a task.
pub fn given(repository: &Repository, task: &Task) -> Result<Given, Stop> {
    let mut given = Given { files: Files::default(), read: Vec::new(), named: Named::default(), copies: None };
    for path in task.files() {
        let (bytes, digest) = repository.read(&path)?;
        given.named.digests.insert(path.clone(), digest);
        given.read.push((path, bytes));
    }
    if let (Query::Specification(query), Some((path, bytes))) = (&task.query, given.read.first()) {
        given.named.semantics = match query.semantics {
            Some(_) => None,
            None => Some(said(path, bytes)?),
        };
    }
    given.copies = copies(task, &given.read);
    for (path, bytes) in &given.read {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        given.files.add(&name, bytes.clone());
    }
    Ok(given)
}

/// The arithmetic that a specification is about.
fn said(path: &Path, bytes: &[u8]) -> Result<Semantics, Stop> {
    let source = Source::from_bytes(path, bytes.to_vec(), Specification::LIMIT).map_err(SpecificationError::from);
    let specification = source.and_then(|source| Specification::from_source(&source));
    let stop = |error: SpecificationError| Stop { status: Status::Error, detail: error.to_string(), code: Some(error.code()) };
    specification.map(|specification| semantics(&specification)).map_err(stop)
}

impl Stop {
    pub fn undecided(detail: impl Into<String>) -> Self {
        Self { status: Status::Inconclusive, detail: detail.into(), code: Some("NV602") }
    }

    /// The same for every requirement of a task.
    pub fn all(&self, model: &str, task: &Task) -> Vec<RuleOutcome> {
        let decision = Decision::without_figure(self.status, self.detail.clone());
        task.requirements
            .iter()
            .map(|requirement| outcome(model, requirement, &requirement.limit, &decision, self.code))
            .collect()
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        let status = match failure.status() {
            ExitStatus::Inconclusive => Status::Inconclusive,
            ExitStatus::Refused => Status::Refused,
            ExitStatus::Error | ExitStatus::Violated | ExitStatus::Established => Status::Error,
        };
        Self { status, detail: failure.message().to_owned(), code: Some(failure.code()) }
    }
}

/// Where the claims that a rule is decided on come from.
#[derive(Clone, Copy)]
pub enum Found<'a> {
    /// From a certificate at hand. What it states without proof, an estimate, answers nothing: nobody repeats it.
    AtHand,
    /// From a search of this run, which a limit may have ended.
    Searched { limited: Option<&'a str> },
}

/// Decides every requirement of a task, and whether more effort could change anything; `None` where a requirement has no
/// claim. A violation that a search did not settle within its limits is none.
pub fn decide(
    subject: &Subject,
    task: &Task,
    (certificate, bundle): (&Certificate, &Bundle),
    checked: &CheckedFile,
    given: &Given,
    found: Found,
) -> Option<(Vec<RuleOutcome>, bool)> {
    let (at_hand, limited) = match found {
        Found::AtHand => (true, None),
        Found::Searched { limited } => (false, limited),
    };
    let counts = |assurance: Assurance| !(at_hand && assurance == Assurance::Estimated);
    let mut pairs = certificate.claims.iter().zip(&checked.claims);
    let answers = |(claim, checked): &(&Claim, &CheckedClaim)| {
        counts(checked.assurance) && task.query.is_answered_by(claim, bundle, &given.named)
    };
    let (claim, told) = pairs.find(answers)?;
    let established = Established { claim, assurance: told.assurance };
    let mut settled = true;
    let mut outcomes = Vec::new();
    for requirement in &task.requirements {
        let (limit, mut decision) = match resolved(subject, task, requirement, given) {
            Ok(limit) => {
                let decision = requirement.decide(established, &limit);
                (limit, decision)
            }
            Err(stop) => {
                let decision = Decision::without_figure(stop.status, stop.detail);
                outcomes.push(outcome(subject.name, requirement, &requirement.limit, &decision, stop.code));
                continue;
            }
        };
        if let (Some(limit), Status::Violated, false) = (limited, decision.status, decision.settled) {
            decision.status = Status::Inconclusive;
            decision.detail = Some(format!("the search ended at its limit of {limit}; a better figure may exist"));
        }
        settled &= decision.settled;
        let statement = told.about_files.then(|| told.statement.clone());
        let claim = Some(claim.id.clone());
        outcomes.push(RuleOutcome { statement, claim, ..outcome(subject.name, requirement, &limit, &decision, None) });
    }
    Some((outcomes, settled))
}

/// The limit with the baseline's figure in it.
fn resolved(subject: &Subject, task: &Task, requirement: &Requirement, given: &Given) -> Result<Limit, Stop> {
    let Limit::Regression(_) = requirement.limit else { return Ok(requirement.limit.clone()) };
    match &subject.baseline {
        Some(Ok(baseline)) => baseline.resolved(task, requirement, subject.model, given),
        Some(Err(stop)) => Err(stop.clone()),
        None => Err(Stop { status: Status::Error, detail: "there is no baseline".to_owned(), code: Some("NV404") }),
    }
}

fn outcome(
    model: &str,
    requirement: &Requirement,
    limit: &Limit,
    decision: &Decision,
    code: Option<&'static str>,
) -> RuleOutcome {
    let room = decision.margin.map(|margin| match limit {
        Limit::AtMost(of) | Limit::AtLeast(of) if *of != 0.0 && (margin / of).is_finite() => {
            format!("{} ({:+.1} %)", crate::report::signed(margin), 100.0 * margin / of)
        }
        _ => crate::report::signed(margin),
    });
    let of_status = match decision.status {
        Status::Violated => Some("NV601"),
        Status::Inconclusive => Some("NV602"),
        Status::Met | Status::Refused | Status::Error => None,
    };
    RuleOutcome {
        id: requirement.id.clone(),
        model: model.to_owned(),
        what: requirement.what.clone(),
        statement: None,
        line: requirement.line,
        limit: match &requirement.limit {
            Limit::Regression(_) => match limit {
                // Printed on the safe side.
                Limit::AtMost(most) => format!("≤ {} ({})", Number::lower(*most), requirement.limit),
                _ => limit.to_string(),
            },
            _ => limit.to_string(),
        },
        value: decision.reading.as_ref().map(|reading| reading.text().to_owned()),
        margin: decision.margin,
        room,
        status: decision.status,
        assurance: decision.assurance,
        detail: decision.detail.clone(),
        code: code.or(of_status).map(str::to_owned),
        certificate: None,
        claim: None,
        reused: false,
    }
}

/// Enough of a digest to tell two apart.
fn short(digest: &str) -> String {
    digest.chars().take(12).collect()
}
