//! One model of a policy: its certificates at hand or searched for, and the decision on every rule.
//!
//! A certificate at hand counts where the checker accepts it, it is about this model and these files, and what it says settles
//! the rule. One about another model or other files is out of date, and is made again; any other refusal ends the matter: a
//! certificate that was altered is never replaced in silence.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::super::output::Output;
use super::super::search::search;
use super::super::{ExitStatus, Failure, recheck};
use super::flags::flags;
use super::shown;
use super::store::{Accepted, Stored, baseline, stored, write};
use crate::certificate::{Certificate, read_file};
use crate::checker::Files;
use crate::codes;
use crate::onnx::Model;
use crate::policy::{Decision, Established, Limit, ModelPolicy, PolicyFile, Requirement, Status, Task};
use crate::report::CheckedFile;
use crate::report::audit::{CertificateSection, ModelSection, RuleOutcome, changes};

pub struct Judge<'a> {
    pub file: &'a PolicyFile,
    pub fresh: bool,
    pub check_only: bool,
    /// Does a report show pictures? Their data take work.
    pub pictures: bool,
    pub threads: u32,
    pub output: &'a Output,
}

/// What became of a model.
pub struct Judged {
    pub rules: Vec<RuleOutcome>,
    /// Nothing, where the model cannot be loaded.
    pub section: Option<ModelSection>,
}

/// A model and what its rules are measured against.
struct Subject<'a> {
    name: &'a str,
    policy: &'a ModelPolicy,
    path: PathBuf,
    model: &'a Model,
    baseline: Option<Result<Certificate, Failure>>,
}

/// Why there is no decision on a claim.
struct Stop {
    status: Status,
    detail: String,
    code: Option<&'static str>,
}

/// What became of one rule.
struct Answer {
    rules: Vec<RuleOutcome>,
    section: Option<CertificateSection>,
    accepted: Option<Accepted>,
}

/// The files of a task: for the checker, and their digests.
struct Given {
    files: Files,
    digests: BTreeMap<PathBuf, String>,
}

impl Judge<'_> {
    pub fn model(&self, name: &str, tasks: &[Task]) -> Judged {
        let Some(policy) = self.file.policy.models.get(name) else { return Judged { rules: Vec::new(), section: None } };
        let path = self.file.folder().join(&policy.path);
        let model = match crate::onnx::load(&path) {
            Ok(model) => model,
            Err(error) => {
                let stop = Stop {
                    status: Status::Error,
                    detail: format!("{}: {error}", shown(&path)),
                    code: Some(codes::of_load(&error)),
                };
                let mut rules: Vec<RuleOutcome> = tasks.iter().flat_map(|task| stop.all(name, task)).collect();
                if policy.sha256.is_some() {
                    rules.push(RuleOutcome { detail: Some(stop.detail), ..self.pin_outcome(name, Status::Error, stop.code) });
                }
                return Judged { rules, section: None };
            }
        };
        model.notes.iter().for_each(|note| self.output.note(note));
        let baseline = policy.baseline.as_ref().map(|path| baseline(&self.file.folder().join(path)));
        let subject = Subject { name, policy, path, model: &model, baseline };
        let mut rules: Vec<RuleOutcome> = self.pin(&subject).into_iter().collect();
        let (mut certificates, mut accepted) = (Vec::new(), Vec::new());
        for task in tasks {
            let answer = self.task(&subject, task);
            rules.extend(answer.rules);
            certificates.extend(answer.section);
            accepted.extend(answer.accepted);
        }
        let mut section = ModelSection::new(name.to_owned(), shown(&subject.path), &model, Vec::new());
        if let Some(Ok(baseline)) = &subject.baseline {
            section.baseline = policy.baseline.as_ref().map(|path| shown(&self.file.folder().join(path)));
            let changes = accepted.iter().flat_map(|accepted| changes(baseline, &accepted.certificate));
            // The baseline may make claims that no rule asks about.
            section.changes = changes.filter(|change| change.new.is_some()).collect();
        }
        section.set_certificates(certificates);
        Judged { rules, section: Some(section) }
    }

    /// Decides one rule: on the certificate at hand, or on one that is searched for.
    fn task(&self, subject: &Subject, task: &Task) -> Answer {
        let path = self.certificate_path(subject.name, task);
        let given = match self.given(task) {
            Ok(given) => given,
            Err(stop) => return stop.answer(subject.name, task),
        };
        if !self.fresh {
            match stored(&path, subject.model, &given.files) {
                Ok(Stored::Nothing) => {}
                Ok(Stored::OutOfDate) => self.output.detail(&format!("{} is out of date", shown(&path))),
                Ok(Stored::Refused(checked)) => return refused(subject, task, &path, &checked),
                Ok(Stored::Accepted(accepted)) => {
                    let accepted = *accepted;
                    let decided = decide(subject, task, &accepted, &given, None);
                    if let Some((outcomes, _)) = decided.filter(|(_, settled)| *settled || self.check_only) {
                        return self.answer(subject, task, &path, accepted, outcomes, true);
                    }
                }
                Err(failure) => return Stop::from(failure).answer(subject.name, task),
            }
        }
        if self.check_only {
            return Stop::undecided(format!("no certificate at hand answers it (`{}`)", shown(&path))).answer(subject.name, task);
        }
        self.output.detail(&format!("{}.{}: searching", subject.name, task.name));
        self.searched(subject, task, &given, &path)
    }

    /// Searches for a certificate, keeps it, and decides on it.
    fn searched(&self, subject: &Subject, task: &Task, given: &Given, path: &Path) -> Answer {
        let limits = &self.file.policy.limits;
        let flags = flags(&task.rule, subject.policy, limits, self.file.folder());
        let found = match search(&shown(path), &flags, &subject.path, subject.model, self.threads, self.output) {
            Ok(found) => found,
            Err(failure) => return Stop::from(failure).answer(subject.name, task),
        };
        // A search that ends at its limit says nothing about what more time would give.
        let hurried = (found.seconds >= 0.9 * limits.timeout).then_some(limits.timeout);
        let Some((certificate, bundle, checked)) = found.certificate else {
            let why = hurried.map_or_else(String::new, |limit| format!(" within {limit} s"));
            return Stop::undecided(format!("nothing is established{why}")).answer(subject.name, task);
        };
        let accepted = Accepted { certificate, bundle, checked };
        if let Err(error) = write(&accepted, path) {
            return Stop::from(error).answer(subject.name, task);
        }
        match decide(subject, task, &accepted, given, hurried) {
            Some((outcomes, _)) => self.answer(subject, task, path, accepted, outcomes, false),
            None => Stop::undecided("nothing that was found answers it").answer(subject.name, task),
        }
    }

    fn answer(
        &self,
        subject: &Subject,
        task: &Task,
        path: &Path,
        accepted: Accepted,
        outcomes: Vec<RuleOutcome>,
        reused: bool,
    ) -> Answer {
        let certificate = Some(shown(path));
        let rules = outcomes.into_iter().map(|outcome| RuleOutcome { certificate: certificate.clone(), reused, ..outcome });
        let command = recheck(path, &subject.path, task.files.iter().map(|file| self.file.folder().join(file)));
        let Accepted { certificate, bundle, checked } = &accepted;
        let section = CertificateSection::new(certificate, bundle, checked, subject.model, command, self.pictures);
        Answer { rules: rules.collect(), section: Some(section), accepted: Some(accepted) }
    }

    /// The pin of a model as a rule of its own.
    fn pin(&self, subject: &Subject) -> Option<RuleOutcome> {
        let pin = subject.policy.sha256.as_ref()?.get_ref();
        let digest = &subject.model.digest;
        let (status, code) = if pin == digest { (Status::Met, None) } else { (Status::Violated, Some("NV603")) };
        let detail = (status == Status::Violated).then(|| format!("the model's SHA-256 is {digest}"));
        Some(RuleOutcome { value: Some(short(digest)), detail, ..self.pin_outcome(subject.name, status, code) })
    }

    fn pin_outcome(&self, model: &str, status: Status, code: Option<&'static str>) -> RuleOutcome {
        let pin = self.file.policy.models.get(model).and_then(|model| model.sha256.as_ref());
        RuleOutcome {
            id: format!("{model}.sha256"),
            model: model.to_owned(),
            what: "digest of the model".to_owned(),
            line: self.file.pins.get(model).copied().unwrap_or(1),
            limit: pin.map_or_else(String::new, |pin| short(pin.get_ref())),
            value: None,
            margin: None,
            room: None,
            status,
            assurance: None,
            detail: None,
            code: code.map(str::to_owned),
            certificate: None,
            reused: false,
        }
    }

    fn certificate_path(&self, model: &str, task: &Task) -> PathBuf {
        let folder = self.file.folder().join(&self.file.policy.certificates);
        folder.join(format!("{model}.{}.certificate.json", task.name))
    }

    fn given(&self, task: &Task) -> Result<Given, Stop> {
        let mut given = Given { files: Files::default(), digests: BTreeMap::new() };
        for file in &task.files {
            let bytes = read_file(&self.file.folder().join(file)).map_err(|error| Stop {
                status: Status::Error,
                detail: error.to_string(),
                code: Some("NV201"),
            })?;
            let name = Path::new(file).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            given.digests.insert(file.clone(), given.files.add(&name, bytes));
        }
        Ok(given)
    }
}

/// The checker refused what lies at the certificate's place.
fn refused(subject: &Subject, task: &Task, path: &Path, checked: &CheckedFile) -> Answer {
    let (detail, code) = codes::split(checked.refusal.as_deref().unwrap_or_default());
    let stop = Stop { status: Status::Refused, detail: detail.to_owned(), code };
    let mut rules = stop.all(subject.name, task);
    rules.iter_mut().for_each(|rule| rule.certificate = Some(shown(path)));
    let command = recheck(path, &subject.path, std::iter::empty());
    Answer { rules, section: Some(CertificateSection::unreadable(checked, command)), accepted: None }
}

impl Stop {
    fn undecided(detail: impl Into<String>) -> Self {
        Self { status: Status::Inconclusive, detail: detail.into(), code: Some("NV602") }
    }

    fn answer(&self, model: &str, task: &Task) -> Answer {
        Answer { rules: self.all(model, task), section: None, accepted: None }
    }

    /// The same for every requirement of a task.
    fn all(&self, model: &str, task: &Task) -> Vec<RuleOutcome> {
        let decision = Decision::without_figure(self.status, self.detail.clone());
        task.requirements
            .iter()
            .map(|requirement| outcome(model, requirement, &requirement.limit, &decision, self.code))
            .collect()
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        let (detail, code) = codes::split(&failure.message);
        let status = match failure.status {
            ExitStatus::Inconclusive => Status::Inconclusive,
            ExitStatus::Refused => Status::Refused,
            ExitStatus::Error | ExitStatus::Violated | ExitStatus::Established => Status::Error,
        };
        Self { status, detail: detail.to_owned(), code: code.or((status == Status::Inconclusive).then_some("NV602")) }
    }
}

/// Decides every requirement of a task, and whether more effort could change anything; `None` where a requirement has no
/// claim. A violation that a hurried search did not settle is none.
fn decide(
    subject: &Subject,
    task: &Task,
    accepted: &Accepted,
    given: &Given,
    hurried: Option<f64>,
) -> Option<(Vec<RuleOutcome>, bool)> {
    let pairs = accepted.certificate.claims.iter().zip(&accepted.checked.claims);
    let established: Vec<Established> = pairs.filter_map(|(claim, checked)| Established::new(claim, checked.assurance)).collect();
    let mut settled = true;
    let mut outcomes = Vec::new();
    for requirement in &task.requirements {
        let claim = requirement.answered_by(&established, &given.digests)?;
        let (limit, mut decision) = match resolved(subject, requirement, given) {
            Ok(limit) => {
                let decision = requirement.decide(claim, &limit);
                (limit, decision)
            }
            Err(stop) => {
                let decision = Decision::without_figure(stop.status, stop.detail);
                outcomes.push(outcome(subject.name, requirement, &requirement.limit, &decision, stop.code));
                continue;
            }
        };
        if let (Some(limit), Status::Violated, false) = (hurried, decision.status, decision.settled) {
            decision.status = Status::Inconclusive;
            decision.detail = Some(format!("the search ended at its limit of {limit} s; a better figure may exist"));
        }
        settled &= decision.settled;
        outcomes.push(outcome(subject.name, requirement, &limit, &decision, None));
    }
    Some((outcomes, settled))
}

/// The limit with the baseline's figure in it.
fn resolved(subject: &Subject, requirement: &Requirement, given: &Given) -> Result<Limit, Stop> {
    let Limit::Regression(_) = requirement.limit else { return Ok(requirement.limit.clone()) };
    let unusable = |detail: String| Stop { status: Status::Error, detail, code: Some("NV404") };
    let certificate = match &subject.baseline {
        Some(Ok(certificate)) => certificate,
        Some(Err(failure)) => {
            let (detail, code) = codes::split(&failure.message);
            let status = if failure.status == ExitStatus::Refused { Status::Refused } else { Status::Error };
            return Err(Stop { status, detail: detail.to_owned(), code });
        }
        None => return Err(unusable("there is no baseline".to_owned())),
    };
    let stated: Vec<Established> =
        certificate.claims.iter().filter_map(|claim| Established::new(claim, claim.assurance)).collect();
    let figure = requirement.answered_by(&stated, &given.digests).and_then(|claim| requirement.figure.read(&claim.value));
    let figure = figure.and_then(|reading| reading.number()).filter(|value| value.is_finite());
    requirement.limit.resolved(figure).ok_or_else(|| unusable("the baseline does not make this claim".to_owned()))
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
        line: requirement.line,
        limit: match &requirement.limit {
            Limit::Regression(fraction) if *limit != requirement.limit => format!("{limit} (baseline + {} %)", fraction * 100.0),
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
        reused: false,
    }
}

/// Enough of a digest to tell two apart.
fn short(digest: &str) -> String {
    digest.chars().take(12).collect()
}
