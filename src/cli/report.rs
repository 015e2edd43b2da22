//! `verify report CERTIFICATE… --model MODEL`: the claims, checked again, as a document; with `--policy` also what its rules
//! say about them, with `--results` also what passes computed and nobody checks.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::check::add_file;
use super::gate::decision::{Found, Given, Stop, Subject, decide, given};
use super::gate::{Baseline, Repository, failed, open, shown, status};
use super::output::Output;
use super::{ExitStatus, Failure, recheck, stated};
use crate::files::Identity;
use crate::kernel::check::check;
use crate::kernel::model::onnx::Model;
use crate::kernel::proof::{Bundle, Certificate, FileIdentity, Files, ReadError};
use crate::kernel::read::data::Dataset;
use crate::policy::{ModelPolicy, Status, Task};
use crate::report::audit::{
    Audit, CertificateSection, DescriptiveSection, ModelSection, PolicySection, Results, RuleOutcome, changes, worst,
};
use crate::report::{CheckedFile, Refused, ReportFormat};

#[derive(clap::Args)]
pub struct Arguments {
    /// Certificates to report
    #[arg(required = true, value_name = "CERTIFICATE")]
    certificates: Vec<PathBuf>,
    /// The model that they are about
    #[arg(long, value_name = "MODEL")]
    model: PathBuf,
    /// A data or specification file that claims are about, or a model that they compare with; may be given several times
    #[arg(long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A policy: what its rules for the model make of these certificates; nothing is searched for
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Let the policy name files outside its folder and behind links
    #[arg(long, requires = "policy")]
    allow_outside: bool,
    /// Results of passes as `--output-format json` writes them, shown as descriptive: spectral density, pruning curves,
    /// suspicious samples (as images, where `--file` gives the data), tightness; may be given several times
    #[arg(long, value_name = "FILE")]
    results: Vec<PathBuf>,
    /// The certificate of an earlier version, to say what changed
    #[arg(long, value_name = "CERTIFICATE")]
    baseline: Option<PathBuf>,
    /// Format of the report [default: what the name of the output asks for, else text]
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<ReportFormat>,
    /// Write the report to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// No notes on standard error
    #[arg(short, long)]
    quiet: bool,
}

/// A certificate that the checker accepted.
struct Accepted {
    certificate: Certificate,
    bundle: Bundle,
    checked: CheckedFile,
}

pub fn run(arguments: &Arguments) -> Result<ExitStatus, Failure> {
    let output = Output::to(arguments.output.clone(), arguments.quiet, false);
    let named = [&arguments.certificates, &arguments.files, &arguments.results];
    let single = [Some(&arguments.model), arguments.policy.as_ref(), arguments.baseline.as_ref()];
    output.apart_from(named.into_iter().flatten().chain(single.into_iter().flatten()).map(PathBuf::as_path))?;
    let by_name = arguments.output.as_deref().and_then(ReportFormat::of_path);
    if let (None, None, Some(path)) = (arguments.format, by_name, &arguments.output) {
        let message =
            format!("`{}`: the name does not end in .html, .md, .json, .sarif, .xml, .intoto.json or .txt", path.display());
        return Err(Failure::error(message).with_hint("`--format` names the format"));
    }
    let format = arguments.format.or(by_name).unwrap_or_default();
    let model = Arc::new(super::load(&arguments.model, &output)?);
    let policy = arguments.policy.as_deref().map(|path| open(Some(path))).transpose()?;
    let repository = policy.as_ref().map(|file| Repository::open(file, arguments.allow_outside)).transpose()?;
    let rules = match &repository {
        Some(repository) => Rules::of(repository, &arguments.model, &model)?,
        None => Vec::new(),
    };
    let mut paths = arguments.files.clone();
    // What the policy names need not be named again.
    for path in rules.iter().flat_map(Rules::files) {
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    let mut files = Files::default();
    for path in &paths {
        add_file(&mut files, path)?;
    }
    let mut sections = Vec::new();
    let mut accepted = Vec::new();
    for path in &arguments.certificates {
        let recheck = recheck(path, &arguments.model, paths.iter().cloned());
        match Certificate::read(path) {
            Ok((certificate, bundle)) => {
                let checked = check(&certificate, &bundle, &model, &files);
                let checked = CheckedFile::new(shown(path), &certificate, &bundle, &checked);
                sections.push(CertificateSection::new(&certificate, &bundle, &checked, &model, recheck, Some(&files)));
                if checked.refusal.is_none() {
                    accepted.push(Accepted { certificate, bundle, checked });
                }
            }
            Err(error @ ReadError::Io { .. }) => return Err(Failure::error(error)),
            Err(error) => {
                let checked = CheckedFile::unreadable(shown(path), Refused::new(&error));
                sections.push(CertificateSection::unreadable(&checked, recheck));
            }
        }
    }
    let path = shown(&arguments.model);
    let name = arguments.model.file_name().map_or_else(|| path.clone(), |name| name.to_string_lossy().into_owned());
    let names: Vec<&str> = rules.iter().map(|rules| rules.name).collect();
    let name = if names.is_empty() { name } else { names.join(", ") };
    let mut section = ModelSection::new(name, path, &model, sections);
    section.descriptive = descriptive(arguments, &paths, &model, &output)?;
    let policy = repository.as_ref().map(|repository| {
        let mut notes = repository.notes();
        let mut outcomes = Vec::new();
        for rules in &rules {
            let whole = accepted.iter().map(|accepted| (&accepted.certificate, &accepted.bundle));
            rules.subject().tell_changes(&mut section, repository.file, whole);
            outcomes.extend(rules.decided(&accepted, &mut notes));
        }
        PolicySection { path: shown(&repository.file.path), digest: repository.file.digest.clone(), rules: outcomes, notes }
    });
    if let Some(path) = &arguments.baseline {
        let (baseline, bundle) = stated::read(path)?;
        section.baseline = Some(shown(path));
        let of = |accepted: &Accepted| changes((&baseline, &bundle), (&accepted.certificate, &accepted.bundle));
        section.changes = accepted.iter().flat_map(of).collect();
    }
    let audit = Audit::new(vec![section], policy);
    let text = format.render(&audit).map_err(Failure::error)?;
    match format {
        ReportFormat::Text => output.text(&text)?,
        _ => output.results(&text)?,
    }
    Ok(status(audit.verdict.status))
}

/// The rules of one entry of a policy about the model of the report.
struct Rules<'a> {
    repository: &'a Repository<'a>,
    name: &'a str,
    policy: &'a ModelPolicy,
    tasks: &'a [Task],
    path: PathBuf,
    model: &'a Arc<Model>,
    baseline: Option<Result<Baseline, Stop>>,
}

impl<'a> Rules<'a> {
    /// The entries of the policy whose file the model is: all of them, so that none can stand in for another.
    fn of(repository: &'a Repository<'a>, path: &Path, model: &'a Arc<Model>) -> Result<Vec<Self>, Failure> {
        let file = repository.file;
        let own = Identity::of(path).ok();
        let mut found = Vec::new();
        for (name, tasks) in &file.tasks {
            let Some(policy) = file.policy.models.get(name) else { continue };
            let policy = policy.get_ref();
            let place = match repository.tree.file(&policy.path) {
                Ok(place) => place,
                Err(error) if error.is_missing() => continue,
                Err(error) => return Err(failed(error)),
            };
            if own.is_none() || Identity::of(&place).ok() != own {
                continue;
            }
            let baseline = policy.baseline.as_deref().map(|path| Baseline::read(repository, path, policy));
            found.push(Self { repository, name, policy, tasks, path: path.to_owned(), model, baseline });
        }
        if found.is_empty() {
            let names: Vec<&str> = file.tasks.iter().map(|(name, _)| name.as_str()).collect();
            let message = format!("`{}` has no rules for `{}`", shown(&file.path), shown(path));
            return Err(Failure::coded("NV406", message).with_hint(format!("it has rules for: {}", names.join(", "))));
        }
        Ok(found)
    }

    fn subject(&self) -> Subject<'_> {
        Subject {
            name: self.name,
            policy: self.policy,
            path: self.path.clone(),
            model: self.model,
            baseline: self.baseline.as_ref(),
        }
    }

    /// The data and specification files that the rules name and that may be used.
    fn files(&self) -> impl Iterator<Item = PathBuf> {
        self.tasks.iter().flat_map(Task::files).filter_map(|path| self.repository.tree.file(&path).ok())
    }

    fn decided(&self, accepted: &[Accepted], notes: &mut Vec<String>) -> Vec<RuleOutcome> {
        let mut outcomes: Vec<RuleOutcome> = self.subject().pin(self.repository.file).into_iter().collect();
        for task in self.tasks {
            match given(self.repository, task) {
                Ok(given) => {
                    notes.extend(given.copies.as_ref().map(|copies| format!("{}.{}: {copies}", self.name, task.name)));
                    outcomes.extend(self.of_task(task, &given, accepted));
                }
                Err(stop) => outcomes.extend(stop.all(self.name, task)),
            }
        }
        outcomes.extend(self.subject().idle_baseline(self.repository.file, self.tasks));
        outcomes.extend(self.repository.pins(self.name, self.policy, self.tasks, self.model));
        outcomes
    }

    /// The certificate that answers a rule best.
    fn of_task(&self, task: &Task, given: &Given, accepted: &[Accepted]) -> Vec<RuleOutcome> {
        let subject = self.subject();
        let decided = accepted.iter().filter_map(|Accepted { certificate, bundle, checked }| {
            let (outcomes, _) = decide(&subject, task, (certificate, bundle), checked, given, Found::AtHand)?;
            let certificate = Some(checked.certificate.clone());
            let of = |outcome| RuleOutcome { certificate: certificate.clone(), reused: true, ..outcome };
            Some(outcomes.into_iter().map(of).collect::<Vec<_>>())
        });
        let best = decided.min_by_key(|outcomes| {
            let status = worst(outcomes.iter().map(|outcome| outcome.status));
            (status != Status::Met, status != Status::Inconclusive)
        });
        let nothing = || Stop::undecided("no certificate of the report answers it").all(self.name, task);
        best.unwrap_or_else(nothing)
    }
}

/// What the files of results tell; samples are shown where their data are among the files that were given.
fn descriptive(
    arguments: &Arguments,
    files: &[PathBuf],
    model: &Model,
    output: &Output,
) -> Result<Vec<DescriptiveSection>, Failure> {
    let mut sections = Vec::new();
    let mut datasets: Vec<Dataset> = Vec::new();
    if !arguments.results.is_empty() {
        // Specifications are no data.
        for path in files.iter().filter(|path| !is_specification(path)) {
            match Dataset::open(path, None) {
                Ok(dataset) => datasets.push(dataset),
                Err(error) => output.note(&format!("no pictures of samples: {error}")),
            }
        }
    }
    let holds = |dataset: &Dataset, data: &FileIdentity| dataset.files().iter().any(|(_, digest)| *digest == data.digest);
    let input = |data: &FileIdentity, sample: usize| {
        let dataset = datasets.iter().find(|dataset| holds(dataset, data))?;
        (sample < dataset.len()).then(|| dataset.input(sample))
    };
    for path in &arguments.results {
        let results = Results::open(path, &model.digest).map_err(Failure::error)?;
        for data in results.sampled().filter(|data| !datasets.iter().any(|dataset| holds(dataset, data))) {
            let (path, name) = (shown(path), data.name.escape_debug());
            output.note(&format!("the samples of `{path}` have no pictures: `--file` does not give `{name}`, which they are of"));
        }
        sections.extend(results.sections(&shown(path), &input, &model.input.shape));
    }
    Ok(sections)
}

fn is_specification(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    name.strip_suffix(".gz").unwrap_or(&name).ends_with(".vnnlib")
}
