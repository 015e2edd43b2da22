//! One model of a policy: its certificates at hand or searched for, and the decision on every rule.
//!
//! A certificate at hand counts where the checker accepts it, it is about this model and these files, and what it says settles
//! the rule. One about another model or other files is out of date, and is made again; any other refusal ends the matter: a
//! certificate that was altered is never replaced in silence.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::super::analysis::Told;
use super::super::output::Output;
use super::super::progress::Progress;
use super::super::{Failure, recheck};
use super::baseline::Baseline;
use super::decision::{Found, Given, Stop, Subject, decide, given, pin_outcome};
use super::repository::{Repository, stopped};
use super::shown;
use super::store::{Accepted, Stored, stored, write, write_results};
use crate::kernel::check::check;
use crate::kernel::proof::{Assurance, FileIdentity};
use crate::policy::{self, PolicyFile, Status, Task};
use crate::query::{Limits, Query, Subjects, answer, seal};
use crate::report::audit::{CertificateSection, DescriptiveSection, ModelSection, Results, RuleOutcome};
use crate::report::{AnalysisReport, CheckedFile, json};

pub struct Judge<'a> {
    pub file: &'a PolicyFile,
    pub repository: &'a Repository<'a>,
    /// The baselines of all models, by their names: read before anything is written.
    pub baselines: &'a BTreeMap<String, Result<Baseline, Stop>>,
    pub fresh: bool,
    pub check_only: bool,
    /// Does a report show pictures? Their data take work.
    pub pictures: bool,
    pub output: &'a Output,
}

/// What became of a model.
pub struct Judged {
    pub rules: Vec<RuleOutcome>,
    /// Nothing, where the model cannot be loaded.
    pub section: Option<ModelSection>,
    /// What a reader should know about its data.
    pub notes: Vec<String>,
}

/// What became of one rule.
struct Answer {
    rules: Vec<RuleOutcome>,
    section: Option<CertificateSection>,
    descriptive: Vec<DescriptiveSection>,
    accepted: Option<Accepted>,
    note: Option<String>,
}

impl Judge<'_> {
    pub fn model(&self, name: &str, tasks: &[Task]) -> Judged {
        let Some(policy) = self.file.policy.models.get(name) else {
            return Judged { rules: Vec::new(), section: None, notes: Vec::new() };
        };
        let policy = policy.get_ref();
        let path = self.file.folder().join(&policy.path);
        let model = match self.repository.model(&policy.path) {
            Ok(model) => Arc::new(model),
            Err(stop) => {
                let mut rules: Vec<RuleOutcome> = tasks.iter().flat_map(|task| stop.all(name, task)).collect();
                if policy.sha256.is_some() {
                    rules.push(RuleOutcome {
                        detail: Some(stop.detail),
                        ..pin_outcome(self.file, name, Status::Error, stop.code)
                    });
                }
                return Judged { rules, section: None, notes: Vec::new() };
            }
        };
        model.notes.iter().for_each(|note| self.output.note(note));
        let subject = Subject { name, policy, path, model: &model, baseline: self.baselines.get(name) };
        let mut rules: Vec<RuleOutcome> = subject.pin(self.file).into_iter().collect();
        let (mut certificates, mut descriptive, mut accepted, mut notes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for task in tasks {
            let start = std::time::Instant::now();
            let answer = self.task(&subject, task);
            let took = crate::report::duration(start.elapsed());
            self.output.detail(&format!("{name}.{}: {took}", task.name));
            rules.extend(answer.rules);
            certificates.extend(answer.section);
            descriptive.extend(answer.descriptive);
            accepted.extend(answer.accepted);
            notes.extend(answer.note.map(|copies| format!("{name}.{}: {copies}", task.name)));
        }
        rules.extend(subject.idle_baseline(self.file, tasks));
        // Compared with what the rules were decided on.
        rules.extend(self.repository.pins(name, policy, tasks, &model));
        let mut section = ModelSection::new(name.to_owned(), shown(&subject.path), &model, Vec::new());
        subject.tell_changes(&mut section, self.file, accepted.iter().map(|accepted| (&accepted.certificate, &accepted.bundle)));
        section.descriptive = descriptive;
        section.set_certificates(certificates);
        Judged { rules, section: Some(section), notes }
    }

    /// Decides one rule: on the certificate at hand, or on one that is searched for.
    fn task(&self, subject: &Subject, task: &Task) -> Answer {
        let given = match given(self.repository, task) {
            Ok(given) => given,
            Err(stop) => return undecided(&stop, subject, task),
        };
        Answer { note: given.copies.clone(), ..self.decided(subject, task, &given) }
    }

    fn decided(&self, subject: &Subject, task: &Task, given: &Given) -> Answer {
        let kept = self.kept(subject.name, task, "certificate");
        let path = self.file.folder().join(&kept);
        if !self.fresh {
            match stored(self.repository, &kept, subject.model, &given.files) {
                Ok(Stored::Nothing) => {}
                Ok(Stored::OutOfDate) => self.output.detail(&format!("{} is out of date", shown(&path))),
                Ok(Stored::Refused(checked)) => return refused(subject, task, &path, &checked),
                Ok(Stored::Accepted(accepted)) => {
                    let accepted = *accepted;
                    let decided =
                        decide(subject, task, (&accepted.certificate, &accepted.bundle), &accepted.checked, given, Found::AtHand);
                    if let Some((outcomes, _)) = decided.filter(|(_, settled)| *settled || self.check_only) {
                        return self.answer(subject, task, given, accepted, outcomes, true);
                    }
                }
                Err(stop) => return undecided(&stop, subject, task),
            }
        }
        if self.check_only {
            let stop = Stop::undecided(format!("no certificate at hand answers it (`{}`)", shown(&path)));
            return undecided(&stop, subject, task);
        }
        self.output.detail(&format!("{}.{}: searching", subject.name, task.name));
        self.searched(subject, task, given, &path)
    }

    /// Searches for a certificate, keeps it, and decides on it.
    fn searched(&self, subject: &Subject, task: &Task, given: &Given, path: &Path) -> Answer {
        let limits = self.file.policy.limits.get_ref();
        let found = match self.search(subject, task, given, &shown(path)) {
            Ok(found) => found,
            Err(stop) => return undecided(&stop, subject, task),
        };
        // A search that ends at its limit says nothing about what more time would give.
        let limited = if found.answer.spent.as_secs_f64() >= 0.9 * limits.timeout {
            Some(format!("{} s", limits.timeout))
        } else {
            found.answer.short_of_memory.then(|| format!("{} GB", limits.memory))
        };
        let Some((accepted, results)) = found.accepted else {
            let why = limited.as_ref().map_or_else(String::new, |limit| format!(" within {limit}"));
            let reasons = reasons(&found.answer.unclaimed);
            return undecided(&Stop::undecided(format!("nothing is established{why}{reasons}")), subject, task);
        };
        // Where it is kept may have changed since it was looked at.
        let place = self.repository.tree.find(&self.kept(subject.name, task, "certificate")).map_err(|error| stopped(&error));
        let kept = place.and_then(|_| {
            write(&accepted, path)?;
            Ok(write_results(results.as_deref(), &self.results_path(subject.name, task))?)
        });
        if let Err(stop) = kept {
            return undecided(&stop, subject, task);
        }
        let searched = Found::Searched { limited: limited.as_deref() };
        let whole = (&accepted.certificate, &accepted.bundle);
        if let Some((outcomes, _)) = decide(subject, task, whole, &accepted.checked, given, searched) {
            return self.answer(subject, task, given, accepted, outcomes, false);
        }
        let reasons = reasons(&found.answer.unclaimed);
        undecided(&Stop::undecided(format!("no claim answers it{reasons}")), subject, task)
    }

    /// Answers the question of a task, and has the claims checked against the model's file again.
    fn search(&self, subject: &Subject, task: &Task, given: &Given, name: &str) -> Result<Searched, Stop> {
        let mut subjects = Subjects::new(subject.path.clone(), Arc::clone(subject.model));
        given.read.iter().for_each(|(path, bytes)| subjects.give(path.clone(), bytes.clone()));
        let limits = limits(task, self.file.policy.limits.get_ref());
        let progress = Progress::new(self.output.is_quiet());
        let found = answer(&subjects, &task.query, &limits, &Told { progress: &progress, output: self.output });
        progress.finish();
        let found = found.map_err(|error| Failure::query(&subject.path, &error))?;
        found.notes.iter().for_each(|note| self.output.note(note));
        let answers = [found];
        let Some((certificate, bundle)) = seal(&subjects, &answers, &limits) else {
            let [answer] = answers;
            return Ok(Searched { answer, accepted: None });
        };
        let again = self.repository.model(&subject.policy.path)?;
        let checked = check(&certificate, &bundle, &again, &given.files);
        if let Some(refusal) = &checked.refusal {
            let detail = format!("the checker refused what a pass found: {refusal}");
            return Err(Stop { status: Status::Inconclusive, detail, code: Some("NV604") });
        }
        let checked = CheckedFile::new(name.to_owned(), &certificate, &bundle, &checked);
        let [answer] = answers;
        let results = if answer.figures.is_descriptive() {
            let figures = vec![answer.figures.clone()];
            let (path, model, kept) = (&subject.path, subject.model, Some(name.to_owned()));
            let report = AnalysisReport::new(path, model, figures, Some(&certificate), Some(&checked), kept, answer.spent);
            Some(json(&report).map_err(Failure::error)?)
        } else {
            None
        };
        Ok(Searched { answer, accepted: Some((Accepted { certificate, bundle, checked }, results)) })
    }

    fn answer(
        &self,
        subject: &Subject,
        task: &Task,
        given: &Given,
        accepted: Accepted,
        outcomes: Vec<RuleOutcome>,
        reused: bool,
    ) -> Answer {
        let path = &self.certificate_path(subject.name, task);
        let certificate = Some(shown(path));
        let rules = outcomes.into_iter().map(|outcome| RuleOutcome { certificate: certificate.clone(), reused, ..outcome });
        let command = recheck(path, &subject.path, task.files().map(|file| self.file.folder().join(file)));
        let Accepted { certificate, bundle, checked } = &accepted;
        let pictures = self.pictures.then_some(&given.files);
        let section = CertificateSection::new(certificate, bundle, checked, subject.model, command, pictures);
        let descriptive = if self.pictures { self.descriptive(subject, task, given) } else { Vec::new() };
        Answer { rules: rules.collect(), section: Some(section), descriptive, accepted: Some(accepted), note: None }
    }

    /// What the search computed beside the claims, where its results lie beside the certificate and are about this model and
    /// these files.
    fn descriptive(&self, subject: &Subject, task: &Task, given: &Given) -> Vec<DescriptiveSection> {
        let kept = self.kept(subject.name, task, "results");
        let Ok(path) = self.repository.tree.file(&kept) else { return Vec::new() };
        let Ok(results) = Results::open(&path, &subject.model.digest) else { return Vec::new() };
        let about_these = |data: &[FileIdentity]| {
            !data.is_empty() && data.iter().all(|data| given.named.digests.values().any(|digest| *digest == data.digest))
        };
        if results.data().all(about_these) {
            results.sections(&shown(&path), &|_, _| None, &subject.model.input.shape)
        } else {
            Vec::new()
        }
    }

    fn certificate_path(&self, model: &str, task: &Task) -> PathBuf {
        self.file.folder().join(self.kept(model, task, "certificate"))
    }

    fn results_path(&self, model: &str, task: &Task) -> PathBuf {
        self.file.folder().join(self.kept(model, task, "results"))
    }

    /// A file of the folder of certificates, relative to the policy.
    fn kept(&self, model: &str, task: &Task, what: &str) -> PathBuf {
        self.repository.store().join(format!("{model}.{}.{what}.json", task.name))
    }
}

/// What a search came to.
struct Searched {
    answer: crate::query::Answer,
    /// What the checker accepted, where anything is claimed, and the figures that no certificate holds, as JSON.
    accepted: Option<(Accepted, Option<String>)>,
}

/// Why nothing is claimed, as the end of a sentence.
fn reasons(unclaimed: &[String]) -> String {
    if unclaimed.is_empty() { String::new() } else { format!(": {}", unclaimed.join("; ")) }
}

/// What the search for a task may take.
fn limits(task: &Task, limits: &policy::Limits) -> Limits {
    let estimate = matches!(task.query, Query::HessianTrace(_))
        && task.requirements.iter().any(|requirement| requirement.assurance == Assurance::Estimated);
    // An estimate that may meet a rule must not rest on probes that whoever made the model knew: the standard library's hasher
    // is keyed anew from the system's entropy.
    let drawn = || std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), limits.seed);
    Limits {
        time: Duration::try_from_secs_f64(limits.timeout).ok(),
        memory: (limits.memory * 1e9) as u64,
        seed: if estimate { drawn() } else { limits.seed },
        journal: None,
    }
}

/// The checker refused what lies at the certificate's place.
fn refused(subject: &Subject, task: &Task, path: &Path, checked: &CheckedFile) -> Answer {
    let refused = checked.refusal.as_ref();
    let detail = refused.map_or_else(String::new, |refused| refused.reason.clone());
    let stop = Stop { status: Status::Refused, detail, code: refused.map(|refused| refused.code) };
    let mut rules = stop.all(subject.name, task);
    rules.iter_mut().for_each(|rule| rule.certificate = Some(shown(path)));
    let command = recheck(path, &subject.path, std::iter::empty());
    let section = Some(CertificateSection::unreadable(checked, command));
    Answer { rules, section, descriptive: Vec::new(), accepted: None, note: None }
}

/// No decision on any requirement of a task.
fn undecided(stop: &Stop, subject: &Subject, task: &Task) -> Answer {
    Answer { rules: stop.all(subject.name, task), section: None, descriptive: Vec::new(), accepted: None, note: None }
}
