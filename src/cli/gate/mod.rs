//! `verify gate`: the policy applied to its models. What the rules need is searched for where no certificate at hand answers
//! them, everything is checked, and the claims decide.

pub mod decision;
mod flags;
mod judge;
mod store;

use std::path::{Path, PathBuf};

use super::output::Output;
use super::{ExitStatus, Failure};
use crate::policy::{PolicyError, PolicyFile, Status, discover};
use crate::report::audit::{Audit, PolicySection};
use crate::report::{PolicyReport, ReportFormat, json};
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
    /// Also write a report to this file, in the format that its name asks for (.html, .md, .json, .sarif, .xml); may be given several times
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
    /// More on standard error: what is being done, and why
    #[arg(short, long)]
    verbose: bool,
}

pub fn run(arguments: &Arguments) -> Result<ExitStatus, Failure> {
    let output = Output::to(arguments.output.clone(), arguments.quiet, arguments.verbose);
    let file = open(arguments.policy.as_deref())?;
    if arguments.show_policy {
        let report = PolicyReport::new(&file);
        let text = match arguments.output_format {
            ReportFormat::Json => json(&report).map_err(Failure::error)?,
            _ => report.to_string(),
        };
        output.results(&text)?;
        return Ok(ExitStatus::Established);
    }
    let formats = arguments.reports.iter().map(|path| {
        let unknown =
            || Failure::error(format!("`{}`: the name does not end in .html, .md, .json, .sarif, .xml or .txt", path.display()));
        Ok((path, ReportFormat::of_path(path).ok_or_else(unknown)?))
    });
    let formats: Vec<(&PathBuf, ReportFormat)> = formats.collect::<Result<_, Failure>>()?;
    let judge = Judge {
        file: &file,
        fresh: arguments.fresh,
        check_only: arguments.check_only,
        pictures: !formats.is_empty() || matches!(arguments.output_format, ReportFormat::Html | ReportFormat::Json),
        threads: super::analysis::set_threads(arguments.threads)?,
        output: &output,
    };
    let mut rules = Vec::new();
    let mut models = Vec::new();
    for (name, tasks) in &file.tasks {
        let judged = judge.model(name, tasks);
        rules.extend(judged.rules);
        models.extend(judged.section);
    }
    let policy = PolicySection { path: shown(&file.path), digest: file.digest.clone(), rules };
    let audit = Audit::new(models, Some(policy));
    for (path, format) in formats {
        let text = format.render(&audit).map_err(Failure::error)?;
        std::fs::write(path, text).map_err(|error| Failure::writing(path, &error))?;
    }
    output.results(&arguments.output_format.render(&audit).map_err(Failure::error)?)?;
    Ok(status(audit.verdict.status))
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
