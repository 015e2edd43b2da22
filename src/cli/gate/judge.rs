//! One model of a policy: its certificates at hand or searched for, and the decision on every rule.
//!
//! A certificate at hand counts where the checker accepts it, it is about this model and these files, and what it says settles
//! the rule. One about another model or other files is out of date, and is made again; any other refusal ends the matter: a
//! certificate that was altered is never replaced in silence.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::super::output::Output;
use super::super::recheck;
use super::super::search::search;
use super::baseline::Baseline;
use super::decision::{Found, Given, Stop, Subject, decide, given, pin_outcome};
use super::flags::flags;
use super::repository::{Repository, stopped};
use super::shown;
use super::store::{Accepted, Stored, stored, write, write_results};
use crate::certificate::FileIdentity;
use crate::codes;
use crate::policy::{PolicyFile, Status, Task};
use crate::report::CheckedFile;
use crate::report::audit::{CertificateSection, DescriptiveSection, ModelSection, Results, RuleOutcome};

pub struct Judge<'a> {
    pub file: &'a PolicyFile,
    pub repository: &'a Repository<'a>,
    /// The baselines of all models, by their names: read before anything is written.
    pub baselines: &'a BTreeMap<String, Result<Baseline, Stop>>,
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
            Ok(model) => model,
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
            let answer = self.task(&subject, task);
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
                    let decided = decide(subject, task, &accepted.certificate, &accepted.checked, given, Found::AtHand);
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
        let flags = flags(&task.rule, subject.policy, limits, self.file.folder());
        let found = match search(&shown(path), &flags, &subject.path, subject.model, self.threads, self.output) {
            Ok(found) => found,
            Err(failure) => return undecided(&Stop::from(failure), subject, task),
        };
        // A search that ends at its limit says nothing about what more time would give.
        let limited = if found.seconds >= 0.9 * limits.timeout {
            Some(format!("{} s", limits.timeout))
        } else {
            found.short_of_memory.then(|| format!("{} GB", limits.memory))
        };
        let Some((certificate, bundle, checked)) = found.certificate else {
            let why = limited.as_ref().map_or_else(String::new, |limit| format!(" within {limit}"));
            return undecided(&Stop::undecided(format!("nothing is established{why}")), subject, task);
        };
        let accepted = Accepted { certificate, bundle, checked };
        // Where it is kept may have changed since it was looked at.
        let place = self.repository.tree.find(&self.kept(subject.name, task, "certificate")).map_err(|error| stopped(&error));
        let kept = place.and_then(|_| {
            write(&accepted, path)?;
            Ok(write_results(found.results.as_deref(), &self.results_path(subject.name, task))?)
        });
        if let Err(stop) = kept {
            return undecided(&stop, subject, task);
        }
        let searched = Found::Searched { limited: limited.as_deref() };
        match decide(subject, task, &accepted.certificate, &accepted.checked, given, searched) {
            Some((outcomes, _)) => self.answer(subject, task, given, accepted, outcomes, false),
            None => undecided(&Stop::undecided("nothing that was found answers it"), subject, task),
        }
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
        let command = recheck(path, &subject.path, task.files.iter().map(|file| self.file.folder().join(file)));
        let Accepted { certificate, bundle, checked } = &accepted;
        let section = CertificateSection::new(certificate, bundle, checked, subject.model, command, self.pictures);
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
            !data.is_empty() && data.iter().all(|data| given.digests.values().any(|digest| *digest == data.digest))
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

/// The checker refused what lies at the certificate's place.
fn refused(subject: &Subject, task: &Task, path: &Path, checked: &CheckedFile) -> Answer {
    let (detail, code) = codes::split(checked.refusal.as_deref().unwrap_or_default());
    let stop = Stop { status: Status::Refused, detail: detail.to_owned(), code };
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
