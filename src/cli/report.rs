//! `verify report CERTIFICATE… --model MODEL`: the claims, checked again, as a document; with `--policy` also what its rules
//! say about them, with `--results` also what passes computed and nobody checks.

use std::path::{Path, PathBuf};

use super::gate::decision::{Found, Given, Stop, Subject, decide, given};
use super::gate::{open, shown, status};
use super::output::Output;
use super::{ExitStatus, Failure, check, recheck};
use crate::certificate::{Certificate, FileIdentity, ReadError};
use crate::checker::Files;
use crate::codes;
use crate::data::Dataset;
use crate::onnx::Model;
use crate::policy::{PolicyFile, Status, Task};
use crate::report::audit::{
    Audit, CertificateSection, DescriptiveSection, ModelSection, PolicySection, Results, RuleOutcome, changes, worst,
};
use crate::report::{CheckedFile, ReportFormat};

#[derive(clap::Args)]
pub struct Arguments {
    /// Certificates to report
    #[arg(required = true, value_name = "CERTIFICATE")]
    certificates: Vec<PathBuf>,
    /// The model that they are about
    #[arg(long, value_name = "MODEL")]
    model: PathBuf,
    /// A data or specification file that claims are about; may be given several times
    #[arg(long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A policy: what its rules for the model make of these certificates; nothing is searched for
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
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
    checked: CheckedFile,
}

pub fn run(arguments: &Arguments) -> Result<ExitStatus, Failure> {
    let output = Output::to(arguments.output.clone(), arguments.quiet, false);
    let by_name = arguments.output.as_deref().and_then(ReportFormat::of_path);
    let format = arguments.format.or(by_name).unwrap_or_default();
    let model = super::load(&arguments.model, &output)?;
    let policy = arguments.policy.as_deref().map(|path| open(Some(path))).transpose()?;
    let rules = policy.as_ref().map(|file| Rules::of(file, &arguments.model, &model)).transpose()?;
    let mut paths = arguments.files.clone();
    // What the policy names need not be named again.
    for path in rules.iter().flat_map(Rules::files).filter(|path| path.exists()) {
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    let mut files = Files::default();
    for path in &paths {
        check::add_file(&mut files, path)?;
    }
    let mut sections = Vec::new();
    let mut accepted = Vec::new();
    for path in &arguments.certificates {
        let recheck = recheck(path, &arguments.model, paths.iter().cloned());
        match Certificate::read(path) {
            Ok((certificate, bundle)) => {
                let checked = check::check(shown(path), &certificate, &bundle, &model, &files);
                sections.push(CertificateSection::new(&certificate, &bundle, &checked, &model, recheck, true));
                if checked.refusal.is_none() {
                    accepted.push(Accepted { certificate, checked });
                }
            }
            Err(error @ ReadError::Io { .. }) => return Err(Failure::error(error)),
            Err(error) => {
                let refusal = Some(codes::tagged(error, "NV501"));
                let checked = CheckedFile { certificate: shown(path), claims: Vec::new(), refusal };
                sections.push(CertificateSection::unreadable(&checked, recheck));
            }
        }
    }
    let path = shown(&arguments.model);
    let name = arguments.model.file_name().map_or_else(|| path.clone(), |name| name.to_string_lossy().into_owned());
    let name = rules.as_ref().map_or(name, |rules| rules.subject.name.to_owned());
    let mut section = ModelSection::new(name, path, &model, sections);
    section.descriptive = descriptive(arguments, &paths, &model, &output)?;
    let policy = rules.as_ref().map(|rules| {
        rules.subject.tell_changes(&mut section, rules.file, accepted.iter().map(|accepted| &accepted.certificate));
        let outcomes = rules.decided(&accepted);
        PolicySection { path: shown(&rules.file.path), digest: rules.file.digest.clone(), rules: outcomes }
    });
    if let Some(path) = &arguments.baseline {
        let (baseline, _) = Certificate::read(path).map_err(|error| Failure::coded("NV404", error))?;
        section.baseline = Some(shown(path));
        section.changes = accepted.iter().flat_map(|accepted| changes(&baseline, &accepted.certificate)).collect();
    }
    let audit = Audit::new(vec![section], policy);
    output.results(&format.render(&audit).map_err(Failure::error)?)?;
    Ok(status(audit.verdict.status))
}

/// The rules of a policy about the model of the report.
struct Rules<'a> {
    file: &'a PolicyFile,
    subject: Subject<'a>,
    tasks: &'a [Task],
}

impl<'a> Rules<'a> {
    fn of(file: &'a PolicyFile, path: &Path, model: &'a Model) -> Result<Self, Failure> {
        let same = |other: &Path| match (other.canonicalize(), path.canonicalize()) {
            (Ok(other), Ok(path)) => other == path,
            _ => false,
        };
        let found = file.tasks.iter().find_map(|(name, tasks)| {
            let policy = file.policy.models.get(name)?.get_ref();
            same(&file.folder().join(&policy.path)).then_some((name, policy, tasks))
        });
        let Some((name, policy, tasks)) = found else {
            let names: Vec<&str> = file.tasks.iter().map(|(name, _)| name.as_str()).collect();
            let message = format!("`{}` has no rules for `{}`", shown(&file.path), shown(path));
            return Err(Failure::coded("NV406", message).with_hint(format!("it has rules for: {}", names.join(", "))));
        };
        Ok(Self { file, subject: Subject::new(file, name, policy, path.to_owned(), model), tasks })
    }

    /// The data and specification files that the rules name.
    fn files(&self) -> impl Iterator<Item = PathBuf> {
        self.tasks.iter().flat_map(|task| &task.files).map(|path| self.file.folder().join(path))
    }

    fn decided(&self, accepted: &[Accepted]) -> Vec<RuleOutcome> {
        let of_task = |task: &Task| match given(self.file, task) {
            Ok(given) => self.of_task(task, &given, accepted),
            Err(stop) => stop.all(self.subject.name, task),
        };
        self.subject.pin(self.file).into_iter().chain(self.tasks.iter().flat_map(of_task)).collect()
    }

    /// The certificate that answers a rule best.
    fn of_task(&self, task: &Task, given: &Given, accepted: &[Accepted]) -> Vec<RuleOutcome> {
        let decided = accepted.iter().filter_map(|Accepted { certificate, checked }| {
            let (outcomes, _) = decide(&self.subject, task, certificate, checked, given, Found::AtHand)?;
            let certificate = Some(checked.certificate.clone());
            let of = |outcome| RuleOutcome { certificate: certificate.clone(), reused: true, ..outcome };
            Some(outcomes.into_iter().map(of).collect::<Vec<_>>())
        });
        let best = decided.min_by_key(|outcomes| {
            let status = worst(outcomes.iter().map(|outcome| outcome.status));
            (status != Status::Met, status != Status::Inconclusive)
        });
        let nothing = || Stop::undecided("no certificate of the report answers it").all(self.subject.name, task);
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
