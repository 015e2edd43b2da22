//! `verify gate`: the policy applied to its models. What the rules need is searched for where no certificate at hand answers
//! them, everything is checked, and the claims decide.

mod baseline;
pub mod decision;
mod judge;
mod repository;
mod store;

pub use baseline::Baseline;
pub use repository::{Repository, failed};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::output::{Output, apart, write};
use super::{ExitStatus, Failure};
use crate::policy::{Lock, ModelPolicy, PolicyError, PolicyFile, Status, Task, discover};
use crate::report::audit::{Audit, PolicySection};
use crate::report::{PolicyReport, ReportFormat, json, visible};
use decision::Stop;
use judge::Judge;

#[derive(clap::Args)]
#[allow(clippy::struct_excessive_bools)] // flags
pub struct Arguments {
    /// The policy [default: the nearest `verify.toml` upwards from the current folder]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Print the policy as it is understood, and do nothing else
    #[arg(long)]
    show_policy: bool,
    /// Search again even where a certificate at hand answers the rule
    #[arg(long)]
    fresh: bool,
    /// Search for nothing: only certificates at hand count
    #[arg(long, conflicts_with = "fresh")]
    check_only: bool,
    /// Write the lock file beside the policy (`verify.lock` for `verify.toml`), with the SHA-256 of every file that the policy names, and do nothing else
    #[arg(long, conflicts_with_all = ["show_policy", "fresh", "check_only", "reports"])]
    lock: bool,
    /// Apply only the rules about this model, by its name in the policy; may be given several times
    #[arg(long = "model", value_name = "NAME")]
    models: Vec<String>,
    /// Apply only the rules whose id is this or begins with it, with or without the model's name (`lipschitz-l2`,
    /// `digits.robustness`); may be given several times
    #[arg(long = "rule", value_name = "ID")]
    only: Vec<String>,
    /// Let the policy name files outside its folder and behind links
    #[arg(long)]
    allow_outside: bool,
    /// Also write a report to this file, in the format that its name asks for (.html, .md, .json, .sarif, .xml, .intoto.json); may be given several times
    #[arg(long = "report", value_name = "FILE")]
    reports: Vec<PathBuf>,
    /// Format of the results
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    output_format: ReportFormat,
    /// Write the results to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Threads [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), env = "VERIFY_THREADS")]
    threads: Option<u16>,
    /// No progress, notes or warnings on standard error
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
    /// More on standard error: what is being done, why, and how long each rule takes
    #[arg(short, long)]
    verbose: bool,
}

pub fn run(arguments: &Arguments) -> Result<ExitStatus, Failure> {
    let output = Output::to(arguments.output.clone(), arguments.quiet, arguments.verbose);
    let mut file = open(arguments.policy.as_deref())?;
    let selected = select(&mut file, arguments)?;
    if arguments.show_policy {
        let report = PolicyReport::new(&file);
        let text = match arguments.output_format {
            ReportFormat::Json => json(&report).map_err(Failure::error)?,
            _ => report.to_string(),
        };
        output.results(&text)?;
        return Ok(ExitStatus::Established);
    }
    let reports = arguments.reports.iter().map(|path| ("--report", path.as_path()));
    let written: Vec<(&str, &Path)> = reports.chain(arguments.output.as_deref().map(|path| ("-o", path))).collect();
    let named = named(&file);
    apart(&written, &named.iter().map(PathBuf::as_path).collect::<Vec<_>>())?;
    if arguments.lock {
        return lock(&file, arguments.allow_outside, &output);
    }
    let formats = arguments.reports.iter().map(|path| {
        let unknown = || {
            Failure::error(format!(
                "`{}`: the name does not end in .html, .md, .json, .sarif, .xml, .intoto.json or .txt",
                path.display()
            ))
        };
        Ok((path, ReportFormat::of_path(path).ok_or_else(unknown)?))
    });
    let formats: Vec<(&PathBuf, ReportFormat)> = formats.collect::<Result<_, Failure>>()?;
    super::analysis::set_threads(arguments.threads)?;
    super::interrupt::listen();
    let settings = Settings {
        fresh: arguments.fresh,
        check_only: arguments.check_only,
        allow_outside: arguments.allow_outside,
        pictures: !formats.is_empty() || matches!(arguments.output_format, ReportFormat::Html | ReportFormat::Json),
    };
    let audit = judged(&file, settings, selected, &output)?;
    for (path, format) in formats {
        let text = format.render(&audit).map_err(Failure::error)?;
        write(path, text.as_bytes())?;
    }
    let text = arguments.output_format.render(&audit).map_err(Failure::error)?;
    match arguments.output_format {
        ReportFormat::Text => output.text(&text)?,
        _ => output.results(&text)?,
    }
    Ok(status(audit.verdict.status))
}

/// How a policy is applied.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // flags
pub struct Settings {
    /// Whether certificates at hand are made anew.
    pub fresh: bool,
    /// Whether nothing is searched for.
    pub check_only: bool,
    /// Whether files outside the policy's folder and behind links may be named.
    pub allow_outside: bool,
    /// Whether a report shows pictures: their data take work.
    pub pictures: bool,
}

/// Applies a policy, or the nearest `verify.toml`, as `verify gate` does, and prints nothing. Threads and signals are the
/// caller's business.
///
/// # Errors
/// A policy that cannot be used.
pub fn audit(policy: Option<&Path>, settings: Settings) -> Result<Audit, Failure> {
    judged(&open(policy)?, settings, None, &Output::to(None, true, false))
}

/// Applies the rules of a policy. `selected` says that they are not all of them.
fn judged(file: &PolicyFile, settings: Settings, selected: Option<String>, output: &Output) -> Result<Audit, Failure> {
    let repository = Repository::open(file, settings.allow_outside)?;
    repository.tree.directory(repository.store()).map_err(failed)?;
    let baselines = baselines(&repository);
    let judge = Judge {
        file,
        repository: &repository,
        baselines: &baselines,
        fresh: settings.fresh,
        check_only: settings.check_only,
        pictures: settings.pictures,
        output,
    };
    let mut rules = Vec::new();
    let mut models = Vec::new();
    let mut notes = repository.notes();
    let whole = selected.is_none();
    notes.extend(selected);
    let start = std::time::Instant::now();
    for (name, tasks) in &file.tasks {
        let judged = judge.model(name, tasks);
        rules.extend(judged.rules);
        models.extend(judged.section);
        notes.extend(judged.notes);
    }
    super::interrupt::tell(output);
    output.detail(&format!("all rules: {}", crate::report::duration(start.elapsed())));
    if let Some(idle) = repository.idle_pins().filter(|_| whole && models.len() == file.tasks.len()) {
        return Err(Failure::coded("NV403", format_args!("`{}`: {idle}", shown(&file.path))));
    }
    let policy = PolicySection { path: shown(&file.path), digest: file.digest.clone(), rules, notes };
    Ok(Audit::new(models, Some(policy)))
}

/// Leaves the rules that `--model` and `--rule` choose, and tells what was left out.
fn select(file: &mut PolicyFile, arguments: &Arguments) -> Result<Option<String>, Failure> {
    if arguments.models.is_empty() && arguments.only.is_empty() {
        return Ok(None);
    }
    if arguments.lock {
        return Err(Failure::error("`--lock` is about the whole policy: it goes with neither `--model` nor `--rule`"));
    }
    let all: Vec<String> = file.tasks.iter().map(|(name, _)| name.clone()).collect();
    if let Some(unknown) = arguments.models.iter().find(|name| !all.contains(name)) {
        let message = format!("`--model {}`: the policy `{}` names no such model", visible(unknown), shown(&file.path));
        return Err(Failure::error(message).with_hint(format!("it names: {}", all.join(", "))));
    }
    let ids: Vec<String> = ids(file).collect();
    let begins = |id: &str, model: &str, text: &str| {
        id.starts_with(text) || id.strip_prefix(model).and_then(|id| id.strip_prefix('.')).is_some_and(|id| id.starts_with(text))
    };
    file.tasks.retain(|(name, _)| arguments.models.is_empty() || arguments.models.contains(name));
    for text in &arguments.only {
        let any = |(name, tasks): &(String, Vec<Task>)| {
            tasks.iter().flat_map(|task| &task.requirements).any(|requirement| begins(&requirement.id, name, text))
        };
        if !file.tasks.iter().any(any) {
            let message = format!("`--rule {}`: no rule of the policy `{}` begins so", visible(text), shown(&file.path));
            return Err(Failure::error(message).with_hint(format!("its rules: {}", ids.join(", "))));
        }
    }
    if !arguments.only.is_empty() {
        for (name, tasks) in &mut file.tasks {
            for task in tasks.iter_mut() {
                task.requirements.retain(|rule| arguments.only.iter().any(|text| begins(&rule.id, name, text)));
            }
            tasks.retain(|task| !task.requirements.is_empty());
        }
        file.tasks.retain(|(_, tasks)| !tasks.is_empty());
    }
    let (count, whole) = (self::ids(file).count(), ids.len());
    let part = format!("only {count} of the {whole} rules of the policy were applied (`--model`, `--rule`)");
    Ok((count < whole).then_some(part))
}

/// The ids of all rules of a policy.
fn ids(file: &PolicyFile) -> impl Iterator<Item = String> {
    file.tasks.iter().flat_map(|(_, tasks)| tasks).flat_map(|task| &task.requirements).map(|rule| rule.id.clone())
}

/// The policy, its lock file, and every file that it names.
fn named(file: &PolicyFile) -> Vec<PathBuf> {
    let models = file.policy.models.values().map(toml::Spanned::get_ref);
    let models = models.flat_map(|model| [Some(&model.path), model.baseline.as_ref(), model.baseline_model.as_ref()]).flatten();
    let data = file.tasks.iter().flat_map(|(_, tasks)| tasks).flat_map(Task::files);
    let below = models.cloned().chain(data).map(|path| file.folder().join(path));
    [file.path.clone(), file.folder().join(Lock::name(&file.path))].into_iter().chain(below).collect()
}

/// The baselines of all models, by their names.
fn baselines(repository: &Repository) -> BTreeMap<String, Result<Baseline, Stop>> {
    let of = |(name, policy): (&String, &toml::Spanned<ModelPolicy>)| {
        let policy = policy.get_ref();
        let path = policy.baseline.as_deref()?;
        Some((name.clone(), Baseline::read(repository, path, policy)))
    };
    repository.file.policy.models.iter().filter_map(of).collect()
}

/// Writes the lock file.
fn lock(file: &PolicyFile, allow_outside: bool, output: &Output) -> Result<ExitStatus, Failure> {
    let repository = Repository::unlocked(file, allow_outside);
    let stopped = |stop: Stop| Failure::coded(stop.code.unwrap_or(crate::codes::INTERNAL), stop.detail);
    let mut digests = BTreeMap::new();
    for (name, tasks) in &file.tasks {
        let Some(policy) = file.policy.models.get(name) else { continue };
        let policy = policy.get_ref();
        let model = repository.model(&policy.path).map_err(stopped)?;
        digests.extend(repository.digests(policy, tasks, &model).map_err(stopped)?);
    }
    let name = Lock::name(&file.path);
    let place = repository.tree.find(&name).map_err(failed)?;
    let count = digests.len();
    let policy = file.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    write(&place, Lock(digests).to_text(&policy).as_bytes())?;
    let files = if count == 1 { "1 file".to_owned() } else { format!("{count} files") };
    output.results(&format!("{}: written, with {files}\n", shown(&place)))?;
    Ok(ExitStatus::Established)
}

/// How a run with this verdict ends.
pub const fn status(status: Status) -> ExitStatus {
    match status {
        Status::Met => ExitStatus::Established,
        Status::Violated => ExitStatus::Violated,
        Status::Inconclusive => ExitStatus::Inconclusive,
        Status::Refused => ExitStatus::Refused,
        Status::Error => ExitStatus::Error,
    }
}

pub fn open(path: Option<&Path>) -> Result<PolicyFile, Failure> {
    let failed = |error: PolicyError| {
        let failure = Failure::error(&error);
        match error.hint() {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    };
    let found = if let Some(path) = path {
        path.to_owned()
    } else {
        let folder = std::env::current_dir().map_err(Failure::internal)?;
        let found = discover(&folder).map_err(failed)?;
        seen_from(&folder, &found)
    };
    PolicyFile::open(&found).map_err(failed)
}

/// A file of a folder or of one above it, as a path from that folder: reports show no path of this machine.
fn seen_from(folder: &Path, file: &Path) -> PathBuf {
    let above = folder.ancestors().position(|above| file.parent() == Some(above)).unwrap_or(0);
    let up = std::iter::repeat_n(Path::new(".."), above);
    up.chain(file.file_name().map(Path::new)).collect()
}

/// A path for people and reports: no leading `./`.
pub fn shown(path: &Path) -> String {
    path.strip_prefix(".").unwrap_or(path).display().to_string()
}
